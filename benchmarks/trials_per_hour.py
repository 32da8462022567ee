"""How many trials of a sweep finish in an hour, by the cores they may have: `es-randomized sweep` as its users run it.

    python -m benchmarks.trials_per_hour                     (about six minutes on two cores)

Every repetition runs the same sweep from nothing with 1, 2, ... cores, each the other way round. Compiled programs are kept
from a run before that does not count. Seconds are those of the whole command, with starting Ray, scoring and the table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import record

BASE = Path(__file__).parents[1] / "configs" / "colouring" / "one_phase.yaml"


def sweep(trials: int, generations: int) -> dict[str, Any]:
    """Trials of a colourer that differ in their seed."""
    return {
        "base": str(BASE),
        "set": {"budget.generations": generations, "evaluation": {"seeds": 20, "votes": []}},
        "search": {"parameters": {"driver.std": {"values": [0.05]}}},
        "seeds": list(range(trials)),
        "trials_per_process": 1,
    }


def seconds(config: Path, jobs: int, cache: Path) -> float:
    """Wall seconds of the command with so many cores."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "es_randomized", "sweep", str(config), "--out", out, "--jobs", str(jobs)]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | {"XDG_CACHE_HOME": str(cache)})
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="cores for trials")
    parser.add_argument("--repetitions", type=int, default=2)
    given = parser.parse_args()
    found: dict[int, list[float]] = {jobs: [] for jobs in given.jobs}
    with tempfile.TemporaryDirectory() as folder:
        config, warm, cache = Path(folder) / "sweep.yaml", Path(folder) / "warm.yaml", Path(folder) / "cache"
        config.write_text(json.dumps(sweep(given.trials, given.generations)))
        warm.write_text(json.dumps(sweep(1, given.generations)))
        seconds(warm, 1, cache)
        for repetition in range(given.repetitions):
            for jobs in given.jobs if repetition % 2 == 0 else given.jobs[::-1]:
                found[jobs].append(seconds(config, jobs, cache))
                print(f"{jobs} cores: {given.trials} trials in {found[jobs][-1]:.1f} s", flush=True)
    rates = {jobs: given.trials / statistics.median(times) * 3600 for jobs, times in found.items()}
    first = rates[given.jobs[0]] / given.jobs[0]
    results = {
        "trials": given.trials,
        "generations": given.generations,
        "seconds": found,
        "trials an hour": rates,
        "efficiency": {jobs: rate / jobs / first for jobs, rate in rates.items()},
    }
    for jobs, rate in rates.items():
        print(f"{jobs} cores: {rate:,.0f} trials an hour, efficiency {results['efficiency'][jobs]:.2f}")
    print("written:", record("trials_per_hour", results))


if __name__ == "__main__":
    main()
