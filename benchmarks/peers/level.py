"""Time to a level of success: es_randomized and the fastest peer run until they have it; the others' time is reckoned.

All peers follow the same strategy with the same settings, so they need the same number of generations up to chance; the
reckoned time is that number of es_randomized's times the peer's own seconds per generation, and is marked as reckoned.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.catalogue import OURS
from benchmarks.peers.processes import Watched
from benchmarks.peers.summary import compile_seconds
from benchmarks.peers.workload import LEVEL, Judgement, configured, judge

EVERY = 10  # generations between judged weights
GENERATIONS = 500  # of a run, at most
SLACK = 1.5  # times the generations that the first racer needed: how long the others may run

Judge = Callable[[np.ndarray, bool], Judgement]  # of weights, on a sample of the cycles or on all of them


def race(runners: list[Any], population: int, speeds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Run es_randomized and the fastest peer until `LEVEL`, a round for every runner, each the other way round.

    Args:
        runners: one a round, each with a seed of its own.
        speeds: what was measured of every peer; the fastest of them races, the others are reckoned.
    """
    peers = {name: found["members_per_second"] for name, found in speeds.items() if name not in OURS}
    fastest = max(peers, key=lambda name: peers[name]) if peers else None
    racers = [name for name in OURS if name in speeds] + ([fastest] if fastest else [])
    rounds: list[dict[str, Any]] = []
    for turn, runner in enumerate(runners):
        rounds.append(_round(runner, racers if turn % 2 == 0 else racers[::-1], population, _enough(rounds)))
    found = {"success": LEVEL, "population": population, "fastest_peer": fastest, "rounds": rounds}
    found |= {"seconds": medians(rounds, "seconds"), "trained_seconds": medians(rounds, "trained_seconds")}
    ours = [each[OURS[0]]["generation"] for each in rounds if OURS[0] in each]
    if ours and None not in ours:
        generations = statistics.median(ours)
        found["generations_reckoned_with"] = generations
        found["reckoned_trained_seconds"] = {
            name: generations * each["generation_seconds"] for name, each in speeds.items() if name not in racers
        }
    return found


def medians(rounds: list[dict[str, dict[str, Any]]], value: str) -> dict[str, float | None]:
    """Of every racer over the rounds; nothing for one that did not arrive in one of them."""
    found = {name: [each[name][value] for each in rounds] for name in rounds[0]}
    return {name: None if None in each else statistics.median(each) for name, each in found.items()}


def crossing(centres: np.ndarray, judged: Judge) -> tuple[int | None, list[dict[str, Any]]]:
    """Generations until the level, looking every `EVERY` of them, and what was seen on the way.

    What reaches it on the sample is judged on all cycles too, and has arrived if it is good enough there.
    """
    curve: list[dict[str, Any]] = []
    for done in range(EVERY, len(centres) + 1, EVERY):
        seen = judged(centres[done - 1], False)
        curve.append({"generation": done, **seen._asdict()})
        if seen.p95 < LEVEL:
            continue
        confirmed = judged(centres[done - 1], True)
        curve[-1]["all_cycles"] = confirmed._asdict()
        if confirmed.p95 >= LEVEL:
            return done, curve
    return None, curve


def _enough(rounds: list[dict[str, dict[str, Any]]]) -> int:
    """How many generations a run gets, by what others needed."""
    needed = [run["generation"] for racers in rounds for run in racers.values() if run["generation"]]
    return min(GENERATIONS, int(SLACK * max(needed, default=GENERATIONS)))


def _round(runner: Any, racers: list[str], population: int, generations: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in racers:
        found[name] = _one(runner, name, population, min(generations, _enough([found])))
        print(
            f"to {LEVEL:.1%}, seed {runner.seed}: {name}: {found[name]['generation']} generations, "
            f"{found[name]['seconds'] or float('nan'):.1f} s",
            flush=True,
        )
    return found


def _one(runner: Any, name: str, population: int, generations: int) -> dict[str, Any]:
    """One run: seconds up to the crossing, as they were and without what compilation took of them."""
    watched, centres = runner(name, population, float("inf"), generations)
    config = configured("", population, generations, 0.0, runner.seed, runner.folder)
    generation, curve = crossing(centres, lambda weights, everything: judge(config, weights, everything))
    seconds = _until(watched, generation)
    times = np.cumsum(watched.report.generation_seconds)
    for point in curve:
        point["seconds"] = round(float(times[point["generation"] - 1]), 3)
    return {
        "generation": generation,
        "seconds": seconds,
        "trained_seconds": None if seconds is None else seconds - compile_seconds(watched),
        "curve": curve,
    }


def _until(watched: Watched, generation: int | None) -> float | None:
    return None if generation is None else float(sum(watched.report.generation_seconds[:generation]))
