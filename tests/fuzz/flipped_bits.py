"""Run folders, checkpoints, mirrors and records with a flipped bit: read as they were, or refused."""

import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from es_randomized import RunFolder, driver_of, dump, load, local_evaluator
from es_randomized.errors import UserError
from es_randomized.evaluation.of_runs import evaluate_runs, newest, write_score
from es_randomized.evaluation.stored import stored
from es_randomized.runs.checkpoint import export, metrics_of
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.remote.fetch import fetch
from es_randomized.runs.remote.mirror import Mirror
from es_randomized.runs.remote.store import Remote
from es_randomized.runs.restore import restore
from es_randomized.runs.start import Start
from es_randomized.session import run_session
from es_randomized.trials.trial import Record, TrialsFolder, read_record
from tests.fuzz.fates import PASSED_OVER, REFUSED, said
from tests.tools.command import TINY

FATES = ["the same", PASSED_OVER, REFUSED]
Read = dict[str, Any]  # what commands read back, by what it is; rows as lists


class Kept:
    """A run, its checkpoint, its mirror at an address and the record of a trial; copies of them are damaged bit by bit."""

    def __init__(self, root: Path) -> None:
        self.root, run = root, RunFolder(root / "run")
        self.driver = driver_of(load(TINY, {"start_from": "elsewhere"}))
        weights = np.random.default_rng(0).normal(size=self.driver.parameters).astype(np.float32)
        run.create(self.driver.experiment, Start(weights, {"given": "elsewhere"}))
        run_session(run, self.driver, local_evaluator(self.driver), lambda _: None)
        write_score(run, run.experiment(), evaluate_runs([newest(run, self.driver)]))
        export(run, root / "checkpoint")
        TrialsFolder(root).write("trial", Record({"driver.std": 0.1, "objective.q": None}, 3, "finished", 0.25, 12))
        Mirror(run, Remote.at((root / "mirror").as_uri())).push()
        self.readers = {"run": self.of_run, "checkpoint": of_checkpoint, "trial": of_trial, "mirror": self.of_mirror}
        ignored = (".png", ".log", ".lock")
        self.files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.endswith(ignored)]
        self.states = {0: bytes_of(self.driver.start(weights))}
        snapshots = list(run.snapshots.iterdir())
        hidden = [path.rename(path.with_suffix(".hidden")) for path in snapshots]
        restore(
            run, self.driver, replayed=lambda generation, state: self.states.update({generation + 1: bytes_of(state)})
        )
        for path, name in zip(hidden, snapshots, strict=True):
            path.rename(name)
        self.whole = {name: reader(root / name) for name, reader in self.readers.items()}

    def flip(self, number: int, target: Path) -> tuple[str, str]:
        """Which file got a flipped bit, and what becomes of what it belongs to. Other numbers raise."""
        chance = random.Random(number)
        file = chance.choice(self.files).relative_to(self.root)
        part = file.parts[0]
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.root / part, target / part)
        content = bytearray((target / file).read_bytes())
        place = chance.randrange(8 * len(content))
        content[place // 8] ^= 1 << (place % 8)
        (target / file).write_bytes(content)
        found, where = self.readers[part](target / part), f"{file}, bit {place}"
        fates = [self.fate(what, now, self.whole[part][what], where) for what, now in found.items()]
        return str(file), max(fates, key=FATES.index)

    def fate(self, what: str, now: Any, then: Any, where: str) -> str:
        """What became of one thing that was read."""
        if now == then:
            return "the same"
        if now == REFUSED:
            return REFUSED
        if what == "state":  # a journal that ends where it is damaged: an earlier generation with the bits that it had
            assert now[1] == self.states[now[0]], f"{where}: other weights"
        else:
            assert isinstance(now, list), f"{where}: other {what}"
            assert all(row in then for row in now), f"{where}: other {what}"
        return PASSED_OVER

    def of_run(self, path: Path) -> Read:
        run = RunFolder(path, "run")
        return {
            "state": or_refused(lambda: [(found := restore(run, self.driver))[0], bytes_of(found[1])]),
            "metrics": or_refused(lambda: read_metrics(run.metrics).to_pylist()),
            "evaluation": or_refused(lambda: evaluation(run)),
            "experiment": or_refused(lambda: {**dump(run.experiment()), "evaluation": None}),  # which may be changed
        }

    def of_mirror(self, path: Path) -> Read:
        copy = RunFolder(path.with_name("copy"))
        shutil.rmtree(copy.path, ignore_errors=True)
        copy.path.mkdir()
        fetched = or_refused(lambda: fetch(Remote.at(path.as_uri()), copy))
        return self.of_run(copy.path) if fetched is None else dict.fromkeys(self.whole["run"], REFUSED)


def of_checkpoint(path: Path) -> Read:
    checkpoint = RunFolder(path, "checkpoint")
    return {
        "weights": or_refused(lambda: np.asarray(newest(checkpoint).weights).tobytes()),
        "metrics": or_refused(lambda: metrics_of(checkpoint).to_pylist()),
        "evaluation": or_refused(lambda: evaluation(checkpoint)),
    }


def of_trial(path: Path) -> Read:
    return {"record": or_refused(lambda: read_record(path / "trial.json"))}


def evaluation(run: RunFolder) -> Any:
    """Summary and instances. A flip in the name of the checksum adds an entry to the summary that nobody reads."""
    found = stored(run)
    assert found is not None
    read = {name: value for name, value in found.summary.items() if not re.fullmatch("[0-9a-f]{64}", str(value))}
    return read, found.instances and found.instances.to_pylist()


def bytes_of(state: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def or_refused(reader: Callable[[], Any]) -> Any:
    try:
        return reader()
    except UserError as error:
        return said(error)


def fuzz_bytes(first: int, count: int) -> Iterator[tuple[str, str]]:
    """The file of every flip, and what becomes of it."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = Kept(Path(temporary) / "kept")
        for number in range(first, first + count):
            try:
                yield kept.flip(number, Path(temporary) / "damaged")
            except Exception as error:
                raise AssertionError(f"flip {number}: {type(error).__name__}: {error}") from error
