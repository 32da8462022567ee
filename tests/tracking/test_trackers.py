"""Curves in other people's tools: all of them arrive, none is worth a run."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from es_randomized.drivers.ledger import Cost
from es_randomized.errors import ConfigError
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import Metrics, MetricsRow
from es_randomized.tracking import tracker
from es_randomized.tracking.kinds import check_installed
from es_randomized.tracking.tensorboard import MOST_PAST, TensorBoard, thinned
from es_randomized.tracking.tracker import Tracker, Trackers, named
from tests.tools.command import TINY_GRADIENT, run, run_here

LOSSES = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32)
CHECK = {"held_out_average": 0.5, "held_out_p95": 0.25, "held_out_worst": 0.0}
NAMES = {
    "cost/seconds", "cost/device_seconds", "cost/rollouts", "cost/tokens", "cost/flops",
    "loss/mean", "loss/best", "loss/std", "loss/non_finite",
}  # fmt: skip


def opened(folder: RunFolder, known: int) -> Metrics:
    folder.metrics.mkdir(parents=True, exist_ok=True)
    return Metrics(folder.metrics, list(LOSSES[:known]), Cost(8, 40, 10**18).times, 2)


def events(path: Path) -> list[Event]:
    """A record is its length, a checksum of that, the event, and a checksum of it."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def points(folder: RunFolder) -> dict[int, dict[str, float]]:
    (path,) = folder.path.glob("events.out.tfevents.*")
    return {
        event.step: {value.tag: value.simple_value for value in event.summary.value}
        for event in events(path)
        if event.summary.value
    }


def test_tensorboard_has_every_number_of_every_row(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    metrics, board = opened(folder, 0), TensorBoard(folder)
    for generation in range(3):
        row = metrics.add(generation, LOSSES[generation], 1.0 + generation, CHECK if generation == 1 else {})
        board.log(generation, row)
    assert list(points(folder)) == [0, 1, 2]  # before it is closed
    board.close()
    found = points(folder)
    assert set(found[0]) == NAMES
    assert set(found[1]) == NAMES | {"held_out/average", "held_out/p95", "held_out/worst"}
    np.testing.assert_allclose([each["loss/mean"] for each in found.values()], LOSSES[:3].mean(axis=1), rtol=1e-6)
    assert [each["cost/rollouts"] for each in found.values()] == [8, 16, 24]


def test_a_run_that_goes_on_has_one_file_without_what_a_crash_took_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    metrics, board = opened(folder, 0), TensorBoard(folder)
    for generation in range(5):
        board.log(generation, metrics.add(generation, LOSSES[generation], 1.0, {}))
    board.close()
    opened(folder, 3)  # the journal has three
    board = TensorBoard(folder)
    board.close()
    assert list(points(folder)) == [0, 1, 2]
    (path,) = folder.path.glob("events.out.tfevents.*")
    (first, begin, *_), (last, *_) = events(path), reversed(events(path))
    assert first.file_version == "brain.Event:2"
    assert begin.session_log.status == SessionLog.START
    assert begin.step == 0
    assert last.wall_time == pytest.approx(first.wall_time, abs=60)


def test_a_long_past_is_thinned_but_keeps_its_checks() -> None:
    rows = [{"generation": g, "held_out_average": 0.5 if g % 1000 == 1 else None} for g in range(20_000)]
    kept = [row["generation"] for row in thinned(rows)]
    assert MOST_PAST <= len(kept) <= MOST_PAST + 20
    assert kept[0] == 0
    assert kept[-1] == 19_999
    assert set(range(1, 20_000, 1000)) <= set(kept)
    assert thinned(rows[:5]) == rows[:5]
    assert thinned([]) == []


class Listing(Tracker):
    """A tracker that keeps what it was given, and may fail."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.generations: list[int] = []
        self.closed = False
        self.fails_at = fails_at

    def log(self, generation: int, row: MetricsRow) -> None:
        if generation == self.fails_at:
            raise ConnectionError("no route to host\nand a long story")
        self.generations.append(generation)

    def close(self) -> None:
        self.closed = True


def unopened() -> Listing:
    raise ValueError("not logged in")


def test_a_tracker_that_fails_is_given_up_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "SECONDS_BETWEEN_ROWS", 0.0)
    good, bad, said = Listing(), Listing(fails_at=2), list[str]()
    with Trackers({"bad": lambda: bad, "unopened": unopened, "good": lambda: good}, said.append) as curves:
        for generation in range(5):
            curves({"generation": generation})
    assert said == [
        "unopened gets no more metrics: ValueError: not logged in; training goes on",
        "bad gets no more metrics: ConnectionError: no route to host; training goes on",
    ]
    assert (good.generations, good.closed) == ([0, 1, 2, 3, 4], True)
    assert (bad.generations, bad.closed) == ([0, 1], False)


def test_quick_generations_are_skipped_but_not_their_checks_nor_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(np.arange(0.0, 10.0, 0.25))
    monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=lambda: next(now)))
    listing = Listing()
    with Trackers({"listing": lambda: listing}, print) as curves:
        for generation in range(11):
            curves({"generation": generation, "held_out_average": 0.5 if generation == 5 else None})
    assert listing.generations == [0, 4, 5, 9, 10]


def test_names_of_curves_come_in_groups() -> None:
    row = {
        "generation": 7,
        "seconds": 1,
        "loss_mean": 2.0,
        "non_finite": 0,
        "held_out_p95": 0.5,
        "held_out_worst": None,
    }
    assert named(row) == {"cost/seconds": 1.0, "loss/mean": 2.0, "loss/non_finite": 0.0, "held_out/p95": 0.5}


OWN = """
from es_randomized import RunFolder
from es_randomized.tracking.tracker import Tracker

class Lines(Tracker):
    def __init__(self, folder: RunFolder) -> None:
        self.path = folder.path / "lines.txt"

    def log(self, generation: int, row: dict) -> None:
        with open(self.path, "a") as file:
            print(generation, row["rollouts"], file=file)
"""


def test_a_tracker_of_a_users_own_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_lines.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "run"
    result = run_here("train", TINY_GRADIENT, "--run", folder, "--no-evaluate", "--track", "own_lines")
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in (folder / "lines.txt").read_text().splitlines()]
    assert [lines[0], lines[-1]] == [["0", "8"], ["11", "96"]]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nowhere", "--track: no tracker is called 'nowhere'; known: mlflow, tensorboard, wandb"),
        ("json", "one class derived from Tracker, not none"),
    ],
)
def test_what_is_no_tracker_is_refused_before_training(kind: str, message: str, tmp_path: Path) -> None:
    result = run_here("train", TINY_GRADIENT, "--run", tmp_path / "run", "--track", kind)
    assert result.returncode == 1
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_package_that_is_missing_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "es_randomized.tracking.mlflow", raising=False)
    with pytest.raises(ConfigError, match=r"--track mlflow needs .*pip install 'es-randomized\[mlflow\]'"):
        check_installed(["mlflow"])


def test_mlflow_has_one_run_that_is_resumed(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    environment = {"MLFLOW_TRACKING_URI": (tmp_path / "store").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    folder = tmp_path / "run"
    for command in (["train", TINY_GRADIENT, "--run", folder, "--budget.seconds", 1e-9], ["resume", folder]):
        result = run(*command, "--no-evaluate", "--track", "mlflow", **environment)
        assert result.returncode == 0, result.stderr
        assert "warning" not in result.stdout
    script = (
        "import json; from mlflow import MlflowClient; client = MlflowClient();"
        "(run,) = client.search_runs([client.get_experiment_by_name('es-randomized').experiment_id]);"
        "history = client.get_metric_history(run.info.run_id, 'loss/mean');"
        "print(json.dumps([run.info.run_name, run.info.status, run.data.params, [each.step for each in history]]))"
    )
    shown = subprocess.run([sys.executable, "-c", script], env=os.environ | environment, capture_output=True, text=True)
    name, status, settings, steps = json.loads(shown.stdout.splitlines()[-1])
    assert (name, status, settings["task.kind"]) == ("run", "FINISHED", "cycle_colouring")
    assert steps[0] == 0
    assert steps[-1] == 11


def test_wandb_offline_keeps_its_run_in_the_run_folder(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    folder = tmp_path / "run"
    options = ["--run", folder, "--no-evaluate", "--track", "wandb"]
    result = run("train", TINY_GRADIENT, *options, WANDB_MODE="offline")
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stdout
    (kept,) = folder.glob("wandb/offline-run-*/*.wandb")
    assert b"loss/mean" in kept.read_bytes()
