"""Thousands of made-up inputs: experiments that nobody would write, and run folders with a flipped bit.

    python -m tests.fuzz --examples 10000

Any YAML is an experiment or one message, never a traceback. Any flip in a run folder leaves the weights and the numbers that
are read as they were, or is refused. Prints how many of each there were and writes benchmarks/results/fuzz_yaml.json and
fuzz_bytes.json; a short version
is among the tests.
"""

import argparse
import datetime
import io
import json
import logging
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from es_randomized import RunFolder, build, compilation, driver_of, dump, load, local_evaluator
from es_randomized.config.yaml import parse, read_yaml
from es_randomized.errors import ConfigError, UserError
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
from tests.tools.command import TINY

REFUSED, PASSED_OVER = "refused", "passed over"
FATES = ["the same", PASSED_OVER, REFUSED]
ROOT = Path(__file__).parents[1]
VALID = [
    read_yaml(path.read_text(), "")
    for path in sorted((ROOT / "configs").rglob("*.yaml"))
    if "task:" in path.read_text()
]
VALID += [read_yaml(path.read_text(), "") for path in sorted((ROOT / "tests" / "golden").glob("*.yaml"))]
TEXT = """
    task model objective batch driver budget evaluation plan seed phases restarts kind start end shape std optimizer learning_rate
    n q width blocks share until cycle_colouring treasure_hunt associative_recall Open_ES CMA_ES MA_ES gradient auto [red] a.b
"""
WORDS = TEXT.split()
# fmt: off
ODD = [
    0, -1, 1, 2, 3, 10**30, -(10**30), 2**31, 2**64, 0.5, 1e308, -0.0, 5e-324, float("inf"), float("nan"), "", "\x85", "{}",
    True, None, datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 1), b"\0\xff", {"a", "b"}, [], {}, [[]],
]
# fmt: on
# Text that no tree is written as.
TEXTS = [
    "",
    "a",
    "[]",
    "- 1",
    "&a [*a]",
    "a: &a {b: *a}",
    "task: &a {kind: *a}",
    "task: *b",
    "a: !!python/object:os.system {}",
    "!!binary x",
    "a: !tag 1",
    "<<: {a: 1}",
    "task: {<<: 3}",
    "? [a]\n: b",
    "? {a: 1}\n: b",
    "a: b: c",
    "\t",
    "%YAML 9.9\n---\na",
    "--- a\n--- b",
    "a: 1\na: 2",
    "\0",
    "\ufeffa: 1",
    "'",
    '"\\x"',
    "[" * 2000,
    "{a: " * 2000,
    "a: " + "9" * 5000,
    "1:1:1: 1",
    "seed: 0x10",
    "seed: 0o17",
    "seed: 1_000",
    "seed: 1e3",
    "!!set {a}",
    "!!omap [a: 1]",
    "a: 2001-99-99",
    "a: &a [x, x]\n" + "\n".join(f"{y}: &{y} [*{x}, *{x}]" for x, y in pairwise("abcdefghijklmnopqrstuvwxyz")),
    "a: 12:99:99",
]  # fmt: skip


def tree_of(chance: random.Random) -> Any:
    """A valid experiment with a few changes anywhere, or plain data that is none at all."""
    if chance.random() < 0.1:
        return chance.choice(
            [lambda: [thing(chance)], lambda: {thing(chance, 3): thing(chance)}, lambda: thing(chance)]
        )()
    tree = deepcopy(chance.choice(VALID))
    for _ in range(chance.randrange(1, 5)):
        change(tree, chance)
    return tree


def change(tree: Any, chance: random.Random) -> None:
    """Replace, add, rename or delete something in a tree of mappings and lists."""
    while isinstance(tree, dict | list) and tree:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = chance.choice(keys)
        if isinstance(tree[key], dict | list) and tree[key] and chance.random() < 0.8:
            tree = tree[key]
            continue
        match chance.randrange(5):
            case 0:
                del tree[key]
            case 1 if isinstance(tree, dict):
                tree[thing(chance, 3)] = tree[key]
            case 2 if isinstance(tree, list):
                tree.append(thing(chance))
            case _:
                tree[key] = thing(chance)
        return


def thing(chance: random.Random, depth: int = 0) -> Any:
    """Any plain data; nothing inside of it from depth 3 on."""
    match chance.randrange(6 if depth < 3 else 4):
        case 0:
            return chance.choice(WORDS)
        case 1:
            odd = chance.choice(ODD)
            return str(odd) if depth >= 3 and isinstance(odd, dict | list | set) else deepcopy(odd)
        case 2:
            return chance.choice([chance.randrange(-5, 50), chance.uniform(-2, 2), 10 ** chance.uniform(-9, 9)])
        case 3:
            return "".join(chance.choices("ab_.[]{}:'\"\\\n\té🎲", k=chance.randrange(6)))
        case 4:
            return [thing(chance, depth + 1) for _ in range(chance.randrange(3))]
        case _:
            return {thing(chance, 3): thing(chance, depth + 1) for _ in range(chance.randrange(4))}


def text_of(tree: Any, chance: random.Random) -> str:
    """YAML of a tree, one in ten with a few characters changed."""
    buffer = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    try:
        yaml.dump(tree, buffer)
    except (YAMLError, TypeError, ValueError):  # cannot be written, for example for its keys
        return repr(tree)
    text = buffer.getvalue()
    for _ in range(chance.choice([0] * 9 + [3])):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice("{}[]:,&*!|>'\"%@`#-? \n\t\0x1") + text[place + chance.randrange(2) :]
    return text


def any_yaml(number: int) -> str:
    """The text of one example."""
    chance = random.Random(number)
    return TEXTS[number] if number < len(TEXTS) else text_of(tree_of(chance), chance)


def of_yaml(text: str) -> str:
    """What becomes of a text: an experiment that reads back the same, or one message. Anything else raises."""
    try:
        experiment = parse(text)
        experiment.batch.bundles(experiment.task)
    except ConfigError as error:
        return said(error)
    assert build(dump(experiment)) == experiment
    return "an experiment"


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


def said(error: UserError) -> str:
    """A refusal says something."""
    assert str(error).strip()
    return REFUSED


def fuzz_yaml(first: int, count: int) -> Iterator[str]:
    """What becomes of so many texts."""
    for number in range(first, first + count):
        text = any_yaml(number)
        try:
            yield of_yaml(text)
        except Exception as error:
            raise AssertionError(f"example {number} of YAML: {type(error).__name__}: {error}\n{text[:2000]}") from error


def fuzz_bytes(first: int, count: int) -> Iterator[tuple[str, str]]:
    """The file of every flip, and what becomes of it."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = Kept(Path(temporary) / "kept")
        for number in range(first, first + count):
            try:
                yield kept.flip(number, Path(temporary) / "damaged")
            except Exception as error:
                raise AssertionError(f"flip {number}: {type(error).__name__}: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first example")
    parser.add_argument("--only", choices=["yaml", "bytes"])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # what falls back on an older snapshot says so
    compilation.configure(devices=1)
    from benchmarks.record import record

    for kind, fuzz in (("yaml", fuzz_yaml), ("bytes", fuzz_bytes)):
        if arguments.only in (None, kind):
            began, outcomes = time.process_time(), Counter(fuzz(arguments.first, arguments.examples))
            by_outcome = {
                " ".join(outcome) if isinstance(outcome, tuple) else outcome: n for outcome, n in outcomes.items()
            }
            results = {"first": arguments.first, "examples": arguments.examples, "outcomes": by_outcome}
            record(f"fuzz_{kind}", results | {"processor seconds": round(time.process_time() - began)})
            print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
