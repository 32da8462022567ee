"""Time to a level of success: es_randomized and the fastest peer run until they have it; the others' time is reckoned.

All peers follow the same strategy with the same settings, so they need the same number of generations up to chance; the
reckoned time is that number of es_randomized's times the peer's own seconds per generation, and is marked as reckoned.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.catalogue import OURS
from benchmarks.peers.workload import LEVEL, Judgement, configured, judge

EVERY = 10  # generations between judged weights
GENERATIONS = 500  # of the first race, at most
SLACK = 1.3  # times the generations that the first one needed: how long the others may run


def race(runner: Any, population: int, speeds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Run es_randomized and the fastest peer until `LEVEL`; every peer's seconds to it."""
    peers = {name: found["members_per_second"] for name, found in speeds.items() if name not in OURS}
    racers = [name for name in OURS if name in speeds] + ([max(peers, key=lambda name: peers[name])] if peers else [])
    found: dict[str, Any] = {"success": LEVEL, "population": population, "measured": {}, "reckoned": {}}
    generations = GENERATIONS
    for name in racers:
        found["measured"][name] = _one(runner, name, population, generations)
        generations = min(generations, int(SLACK * (found["measured"][name]["generation"] or generations)))
        print(f"to {LEVEL:.1%}: {name}: {found['measured'][name]['generation']} generations", flush=True)
    ours = found["measured"].get(OURS[0], {}).get("generation")
    if ours:
        found["generations_reckoned_with"] = ours
        found["reckoned"] = {
            name: ours * each["generation_seconds"] + each["compile_seconds"]
            for name, each in speeds.items()
            if name not in racers
        }
    return found


def crossing(
    centres: np.ndarray, judged: Callable[[np.ndarray], Judgement]
) -> tuple[int | None, list[dict[str, float]]]:
    """Generations until the level, looking every `EVERY` of them and ending there, and what was seen on the way."""
    curve = []
    for done in range(EVERY, len(centres) + 1, EVERY):
        seen = judged(centres[done - 1])
        curve.append({"generation": done, **seen._asdict()})
        if seen.p95 >= LEVEL:
            return done, curve
    return None, curve


def _one(runner: Any, name: str, population: int, generations: int) -> dict[str, Any]:
    """One race: measured time up to the crossing, which is confirmed on all cycles."""
    watched, centres = runner(name, population, float("inf"), generations)
    config = configured("", population, generations, 0.0, runner.seed, runner.folder)
    generation, curve = crossing(centres, lambda weights: judge(config, weights))
    seconds = watched.report.generation_seconds
    confirmed = judge(config, centres[generation - 1], everything=True)._asdict() if generation else None
    return {
        "generation": generation,
        "seconds": float(sum(seconds[:generation])) if generation else None,
        "all_cycles": confirmed,
        "curve": curve,
    }
