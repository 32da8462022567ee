"""Small trials of a sweep: a process for each, one after the other, against one process in which all take turns.

Both sides train and score the same eight trials on one core, begin with an empty cache of compiled programs, which processes
of one side share, and must leave the same journals.
"""

import argparse
import hashlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import record

BASES = {
    "colouring": ("colouring/one_phase.yaml", {"task.n": 7, "model.width": 8, "model.hidden": 16}),
    "recall": ("recall/evolution.yaml", {"task.n": 4, "model.width": 8, "model.stem": 16, "batch.instances": 32}),
}
SMALL = {
    "driver.population": 64,
    "batch.seeds": 4,
    "budget.seconds": None,
    "evaluation": {"seeds": 50, "votes": [5], "instances": 256},
}


def trials(base: str, generations: int) -> dict[str, Any]:
    """Eight experiments that differ in seed, q, step size and learning rate."""
    from es_randomized import load

    config, overrides = BASES[base]
    experiments = {}
    for seed, q, (std, rate) in itertools.product((0, 1), (2, 6), ((0.02, 0.01), (0.05, 0.03))):
        point = {"seed": seed, "objective.q": q, "driver.std": std, "driver.optimizer.learning_rate": rate}
        point["budget.generations"] = generations
        name = f"seed{seed}-q{q}-std{std}"
        experiments[name] = load(Path(__file__).parents[1] / "configs" / config, SMALL | overrides | point)
    return experiments


def train(base: str, generations: int, folder: Path, names: list[str]) -> None:
    """Train trials in this process, as the process of a sweep does."""
    from es_randomized import compilation
    from es_randomized.config.yaml import dump, write_yaml
    from es_randomized.trials.attempt import Assignment
    from es_randomized.trials.trial import Record, TrialsFolder
    from es_randomized.trials.turns import take_turns

    compilation.configure(devices=1, platform="cpu")
    sweep, experiments = TrialsFolder(folder), trials(base, generations)
    for name in names:
        sweep.write(name, Record({}, 0))
    assignments = [Assignment(name, str(sweep.run(name).path), write_yaml(dump(experiments[name]))) for name in names]
    for report in take_turns(assignments):
        if report.message:
            raise SystemExit(f"{report.name}: {report.message}")


def seconds(base: str, generations: int, groups: list[list[str]], folder: Path) -> float:
    """Wall seconds of one process after the other, each with some trials."""
    core = str(min(os.sched_getaffinity(0)))
    began = time.perf_counter()
    for names in groups:
        command = ["taskset", "-c", core, sys.executable, "-m", "benchmarks.together"]
        command += ["--generations", str(generations), "--train", base, str(folder), *names]
        subprocess.run(command, check=True, env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")})
    return time.perf_counter() - began


def journals(folder: Path) -> dict[str, str]:
    """A digest of the losses of every trial."""
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*/journal.bin")}


def measure(base: str, rounds: int, generations: int, most: int) -> dict[str, Any]:
    """Both ways in turn, with the first `most` trials."""
    names = list(trials(base, generations))[:most]
    ways = {"one by one": [[name] for name in names], "together": [names]}
    seconds_of: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        left = []
        for way, groups in ways.items():
            with tempfile.TemporaryDirectory() as scratch:
                seconds_of[way].append(seconds(base, generations, groups, Path(scratch)))
                left.append(journals(Path(scratch)))
        if left[0] != left[1] or len(left[0]) != len(names):
            raise SystemExit(f"{base}: the trials do not have the same losses")
        print(base, {way: round(times[-1], 1) for way, times in seconds_of.items()}, flush=True)
    ratios = [alone / shared for alone, shared in zip(*seconds_of.values(), strict=True)]
    return {
        "trials": len(names),
        "generations": generations,
        "seconds": seconds_of,
        "times as fast": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
        "same losses, bit for bit": True,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bases", nargs="*", help=f"which of {', '.join(BASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--trials", type=int, default=8, help="at most")
    parser.add_argument("--train", nargs="+", help="what it starts itself: BASE FOLDER NAME ...")
    given = parser.parse_args()
    if given.train:
        train(given.train[0], given.generations, Path(given.train[1]), given.train[2:])
    else:
        bases = given.bases or BASES
        record("together", {base: measure(base, given.rounds, given.generations, given.trials) for base in bases})


if __name__ == "__main__":
    main()
