"""es_randomized and its peers side by side: speed, memory, compilation, and time to a level of success.

python -m benchmarks.peers                                 everything
python -m benchmarks.peers --only evosax --repeats 1       one peer; the other results stay as they are
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.environments import UnavailableError, python_of
from benchmarks.peers.figure import draw, draw_race
from benchmarks.peers.level import race
from benchmarks.peers.processes import Watched, run_peer
from benchmarks.peers.summary import against_peers, summary, table
from benchmarks.peers.workload import configured, experiment, write_given
from benchmarks.record import record, recorded
from es_randomized import compilation, driver_of

TOLERANCE = 1e-4  # between the losses of two models on the same weights, cycles and seeds
FIGURES = Path(__file__).parents[1] / "reports"
MOST = 100_000  # generations


class Runner:
    """Runs peers, each from the same first weights, and remembers which cannot run here and why."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.unavailable: dict[str, str] = {}
        self.agreement: dict[str, float] = {}
        self.expected = write_given(configured("", 2, 1, 0.0, seed, folder))

    def __call__(
        self, name: str, population: int, seconds: float, generations: int = MOST
    ) -> tuple[Watched, np.ndarray]:
        """One run of a peer: its report, and the centre after every generation [generation, param].

        Raises:
            UnavailableError: it cannot run here, or its model is another function.
        """
        entry = PEERS[name]
        config = configured(entry.variant, population, generations, seconds, self.seed, self.folder)
        watched = run_peer(python_of(entry.folder, entry.python), entry.folder, config, entry.flags)
        with np.load(config.found) as found:
            self.agreement[name] = float(np.abs(found["losses"] - self.expected).max())
            centres = found["centres"]
        if self.agreement[name] > TOLERANCE:
            raise UnavailableError(f"its losses differ from es_randomized's by {self.agreement[name]:.1g}")
        return watched, centres

    def install(self, names: list[str]) -> None:
        """Make all environments before anything is timed."""
        for name in names:
            try:
                python_of(PEERS[name].folder, PEERS[name].python)
            except UnavailableError as error:
                self.unavailable[name] = str(error)

    def all_once(self, names: list[str], population: int, seconds: float, runs: dict[str, list[Watched]]) -> None:
        """One more run of every peer that can."""
        for name in names:
            if name in self.unavailable:
                continue
            try:
                watched, _ = self(name, population, seconds)
                runs.setdefault(name, []).append(watched)
            except UnavailableError as error:
                self.unavailable[name] = str(error)
            print(f"population {population:,}, {name}: {self.unavailable.get(name, 'done')}", flush=True)


@click.command()
@click.option("--population", "populations", multiple=True, type=int, default=(256, 1024), help="Members; repeatable.")
@click.option("--seconds", default=6.0, help="Training time of a run, after compilation.")
@click.option("--repeats", default=1, help="Runs of each peer, interleaved, and rounds of the race.")
@click.option("--only", multiple=True, type=click.Choice(list(PEERS)), help="These only; other results stay.")
@click.option("--seed", default=0, help="Of all random numbers.")
@click.option("--speed/--no-speed", default=True, help="Measure speeds; without, the recorded ones stay.")
@click.option("--level/--no-level", default=True, help="Also race the fastest peer to the level of success.")
def main(
    populations: tuple[int, ...],
    seconds: float,
    repeats: int,
    only: tuple[str, ...],
    seed: int,
    speed: bool,
    level: bool,
) -> None:
    """Compare es_randomized with its peers and write benchmarks/results/peers.json."""
    compilation.configure()
    results = recorded("peers") if only or not speed else {}
    names = list(only or PEERS)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder), seed)
        runner.install(names)
        if speed:
            _speeds(runner, names, populations, seconds, repeats, results)
            record("peers", results)  # the race is long
        if level:
            runners = [Runner(_folder(folder, turn), seed + turn) for turn in range(repeats)]
            results["level"] = race(runners, min(populations), results["speed"][str(min(populations))])
            draw_race(results["level"], FIGURES / "peers-race.png")
            print(json.dumps({name: value for name, value in results["level"].items() if name != "rounds"}, indent=1))
    print("written:", record("peers", results))


def _folder(folder: str, turn: int) -> Path:
    """A folder of a round's own."""
    made = Path(folder) / f"round-{turn}"
    made.mkdir()
    return made


def _speeds(
    runner: Runner,
    names: list[str],
    populations: tuple[int, ...],
    seconds: float,
    repeats: int,
    results: dict[str, Any],
) -> None:
    """Run these peers in turns and put what was found into the results."""
    runs: dict[int, dict[str, list[Watched]]] = {population: {} for population in populations}
    for repeat in range(repeats):
        order = names if repeat % 2 == 0 else names[::-1]
        for population in populations:
            runner.all_once(order, population, seconds, runs[population])
    for population in populations:
        _add(results, population, {name: runs[population][name] for name in names if name in runs[population]})
    others = {name: why for name, why in results.get("unavailable", {}).items() if name not in names}
    results |= {"seconds": seconds, "repeats": repeats, "workload": _workload(runner.seed, runner.folder)}
    results |= {
        "how": {name: entry._asdict() for name, entry in PEERS.items()},
        "unavailable": others | runner.unavailable,
    }
    results["agreement"] = results.get("agreement", {}) | runner.agreement


def _add(results: dict[str, Any], population: int, runs: dict[str, list[Watched]]) -> None:
    """Put the runs of one population into the results, draw them and print them."""
    key = str(population)
    speeds = results.setdefault("speed", {}).setdefault(key, {})
    speeds |= {name: summary(each, population) for name, each in runs.items() if each}
    curves = results.setdefault("curves", {}).setdefault(key, {})
    for name, each in runs.items():
        report = each[0].report
        curves[name] = {
            "seconds": [round(value, 4) for value in report.generation_seconds],
            "losses": [round(value, 5) for value in report.losses],
        }
    results.setdefault("dates", {})[key] = datetime.now(UTC).date().isoformat()
    results.setdefault("against_peers", {})[key] = against_peers(speeds)
    draw({name: curves[name] for name in PEERS if name in curves}, population, FIGURES / f"peers-{population}.png")
    print(f"\npopulation {population:,}\n{table(speeds)}\n{results['against_peers'][key]}\n", flush=True)


def _workload(seed: int, folder: Path) -> dict[str, Any]:
    from es_randomized import dump

    bound = experiment(configured("", 256, 1, 0.0, seed, folder))
    return {"experiment": dump(bound), "parameters": driver_of(bound).parameters, "tolerance": TOLERANCE}


if __name__ == "__main__":
    main()
