"""A folder holds one run: who comes second is refused, and so are another experiment, another journal and other code."""

import json
import re
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, RunFolder, load
from es_randomized.config.yaml import read_yaml, write_yaml
from es_randomized.errors import RunFolderError
from es_randomized.runs.identity import digest, own_files
from es_randomized.runs.made import gone_if_nothing_came, unused
from es_randomized.runs.restore import restore
from es_randomized.session import run_session
from tests.tools.command import TINY, final_snapshot, run_here
from tests.tools.tiny import tiny


def trained_in(path: Path, generations: int = 6) -> RunFolder:
    folder, evolution = RunFolder(path), tiny()
    shorter = replace(evolution.experiment, budget=replace(evolution.experiment.budget, generations=generations))
    driver = Evolution.of(shorter)
    folder.create(driver.experiment)
    run_session(folder, driver, LocalEvaluator(driver), lambda _: None)
    return folder


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_in(tmp_path_factory.mktemp("once") / "run").path


@pytest.fixture
def run(once: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(once, tmp_path / "run")))


def at_once(what, count: int = 8) -> list[object]:
    """What so many threads return or raise that call it in the same moment."""
    results: list[object] = []
    barrier = threading.Barrier(count)

    def call() -> None:
        barrier.wait()
        try:
            results.append(what())
        except RunFolderError as error:
            results.append(error)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_who_make_a_run_in_one_folder_one_succeeds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    results = at_once(lambda: folder.create(tiny().experiment))
    assert [result for result in results if result is None] == [None]
    assert json.loads(folder.provenance_file.read_text())["experiment"] == digest(
        read_yaml(folder.experiment_file.read_text(), "")
    )


def test_also_where_locks_do_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "lock", lambda self: threading.Lock())
    folder = RunFolder(tmp_path / "run")
    assert [result for result in at_once(lambda: folder.create(tiny().experiment)) if result is None] == [None]


def test_default_names_are_unique(tmp_path: Path) -> None:
    assert sorted(map(str, at_once(lambda: unused(tmp_path / "runs", "demo")))) == sorted(
        str(tmp_path / "runs" / name) for name in ("demo", *(f"demo-{number}" for number in range(2, 9)))
    )


def test_a_run_that_did_not_begin_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), gone_if_nothing_came(RunFolder(unused(tmp_path, "a"))) as _:
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    with pytest.raises(ValueError, match="no"), gone_if_nothing_came(RunFolder(tmp_path / "mine")):
        raise ValueError("no")
    assert (tmp_path / "mine" / "notes").exists()


@pytest.mark.parametrize(
    "change",
    [("seed", 7), ("objective.q", 4), ("driver.std.start", 0.2), ("model.width", 8), ("budget.generations", 9)],
)
def test_an_edited_experiment_is_refused(run: RunFolder, change: tuple[str, float]) -> None:
    before = final_snapshot(run.path)
    run.experiment_file.write_text(write_yaml(edited(run, *change)))
    for command in ("resume", "evaluate", "replay"):
        result = run_here(command, run.path, *(("--local",) if command == "resume" else ()))
        assert result.returncode == 1
        assert f"es-randomized branch {run.path} --at" in result.stderr
        assert f"es-randomized resume {run.path} --budget.generations N" in result.stderr
    assert final_snapshot(run.path) == before


def edited(run: RunFolder, dotted: str, value: float) -> dict:
    tree = read_yaml(run.experiment_file.read_text(), "")
    *sections, last = dotted.split(".")
    inner = tree
    for section in sections:
        inner = inner[section]
    assert inner[last] != value
    inner[last] = value
    return tree


def test_how_it_is_evaluated_may_change(run: RunFolder) -> None:
    run.experiment_file.write_text("# mine\n" + write_yaml(edited(run, "evaluation.seeds", 40)))
    assert restore(run, tiny())[0] == 6


def test_the_journal_of_another_run_is_refused(run: RunFolder, tmp_path: Path) -> None:
    other = RunFolder(tmp_path / "other")
    other.create(load(TINY, {"seed": 3}))
    other.open_journal(12).close()
    shutil.copy(other.journal_file, run.journal_file)
    with pytest.raises(RunFolderError, match="is of another experiment"):
        restore(run, tiny())


def test_snapshots_of_another_run_are_passed_over(run: RunFolder, tmp_path: Path, caplog) -> None:
    driver = Evolution.of(run.experiment())
    expected = restore(run, driver)[1]
    other = RunFolder(tmp_path / "other")
    other.create(load(TINY, {"seed": 3}))
    for path in run.snapshots.iterdir():
        path.unlink()
    other.save_snapshot(5, tiny().init())
    shutil.copy(other.snapshots / "00000005.safetensors", run.snapshots)
    restored = restore(run, driver)[1]
    assert "is of another experiment and is passed over" in caplog.text
    np.testing.assert_array_equal(driver.centre(restored), driver.centre(expected))


def test_a_run_of_before_goes_on(run: RunFolder) -> None:
    """Without hashes in provenance and journal."""
    origin = run.origin()
    run.provenance_file.write_text(json.dumps({k: v for k, v in origin.items() if k not in ("experiment", "files")}))
    with open(run.journal_file, "r+b") as file:
        file.seek(12)
        file.write(bytes(4))
    assert restore(run, tiny())[0] == 6


def test_a_missing_journal_is_no_fresh_run(run: RunFolder) -> None:
    run.journal_file.unlink()
    with pytest.raises(RunFolderError, match=r"journal.bin is missing, though 00000006.safetensors shows"):
        restore(run, tiny())
    assert not run.journal_file.exists()


def test_the_budget_may_grow(run: RunFolder) -> None:
    assert "may only grow" in run_here("resume", run.path, "--local", "--budget.generations", 6).stderr
    result = run_here("resume", run.path, "--local", "--no-evaluate", "--budget.generations", 9)
    assert result.returncode == 0, result.stderr
    longer = Evolution.of(run.experiment())
    generation, state = restore(run, longer)
    assert (generation, run.experiment().budget.generations) == (9, 9)
    # The first six generations are those of the small budget's schedules, the other three those of the large one's.
    for snapshot in run.snapshots.glob("00000009*"):
        snapshot.unlink()
    np.testing.assert_array_equal(restore(run, longer)[1]["mean"], state["mean"])
    for snapshot in run.snapshots.iterdir():
        snapshot.unlink()
    with pytest.raises(RunFolderError, match="got a larger budget before generation 6, and no state"):
        restore(run, tiny())


@pytest.mark.long
def test_a_changed_file_of_the_users_own_is_refused_until_accepted(tmp_path: Path, monkeypatch) -> None:
    source = Path(__file__).parents[2] / "es_randomized" / "objectives" / "expected.py"
    mine = tmp_path / "my_own_objective.py"
    mine.write_text(source.read_text())
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["--local", "--no-evaluate", "--objective", "{kind: my_own_objective}", "--budget.generations", 2]
    try:
        path = tmp_path / "run"
        config = tmp_path / "tiny.yaml"
        config.write_text(re.sub("objective:.*", "objective: {kind: my_own_objective}", TINY.read_text()))
        assert run_here("train", config, "--run", path, *arguments[:2], *arguments[4:]).returncode == 0
        run = RunFolder(path)
        assert list(own_files(run.experiment())) == ["my_own_objective"]
        mine.write_text(source.read_text() + "# better\n")
        refused = run_here("resume", path, *arguments[:2])
        assert refused.returncode == 1
        assert f"the file of my_own_objective was changed since {path} began" in refused.stderr
        assert run_here("resume", path, *arguments[:2], "--changed-files").returncode == 0
        assert run_here("resume", path, *arguments[:2]).returncode == 0
    finally:
        sys.modules.pop("my_own_objective", None)


def test_a_file_of_a_phase_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_phase_strategy.py").write_text(
        "from es_randomized.strategies.algorithms.open_es import Open_ES\n\nclass Mine(Open_ES):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        phases = [{}, {"start": "weights", "driver": {"kind": "my_phase_strategy", "population": 4}}]
        assert list(own_files(load(TINY, {"phases": phases}))) == ["my_phase_strategy"]
    finally:
        sys.modules.pop("my_phase_strategy", None)
