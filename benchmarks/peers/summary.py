"""From runs to numbers: speed, memory, compilation, and when a level of success is reached."""

import statistics
from typing import Any

import numpy as np

from benchmarks.peers.catalogue import OURS
from benchmarks.peers.processes import Watched
from benchmarks.peers.shared.protocol import FIRST


def summary(runs: list[Watched], population: int) -> dict[str, Any]:
    """Medians over the repeats, with their spread; generations that may compile something do not count as speed."""
    timed = [run.report.generation_seconds[FIRST:] for run in runs]
    seconds = [statistics.median(times) for times in timed]
    pooled = np.concatenate(timed)
    return {
        "generation_seconds": statistics.median(seconds),
        "generation_seconds_p10_p90": [float(q) for q in np.quantile(pooled, [0.1, 0.9])],
        "generations_timed": len(pooled),
        "members_per_second": population / statistics.median(seconds),
        "members_per_second_of_repeats": [population / each for each in seconds],
        "peak_mib": statistics.median(run.peak_bytes for run in runs) / 2**20,
        "peak_mib_of_repeats": [run.peak_bytes / 2**20 for run in runs],
        "start_seconds": statistics.median(run.report.start_seconds for run in runs),
        "compile_seconds": compile_seconds(runs[0]),  # later repeats may find programs kept by the first
        "versions": runs[0].report.versions,
    }


def compile_seconds(run: Watched) -> float:
    """What the first generations took longer than the later ones."""
    times = run.report.generation_seconds
    return max(0.0, sum(times[:FIRST]) - FIRST * statistics.median(times[FIRST:]))


def against_peers(speeds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """es_randomized against the fastest peer and the one with the least memory, for one population."""
    peers = {name: found for name, found in speeds.items() if name not in OURS}
    if not peers or not any(name in speeds for name in OURS):
        return {}
    fastest = max(peers, key=lambda name: peers[name]["members_per_second"])
    smallest = min(peers, key=lambda name: peers[name]["peak_mib"])
    ours = {name: speeds[name] for name in OURS if name in speeds}
    return {
        "fastest_peer": fastest,
        "smallest_peer": smallest,
        "times_as_fast": {
            name: found["members_per_second"] / peers[fastest]["members_per_second"] for name, found in ours.items()
        },
        "memory_over_fastest_peer": {
            name: found["peak_mib"] / peers[fastest]["peak_mib"] for name, found in ours.items()
        },
        "memory_over_smallest_peer": {
            name: found["peak_mib"] / peers[smallest]["peak_mib"] for name, found in ours.items()
        },
    }


def table(speeds: dict[str, dict[str, Any]]) -> str:
    """One population's numbers for people."""
    lines = [
        f"{'':28}{'members/s':>10}{'s/generation':>14}{'p10-p90':>16}{'peak MiB':>10}{'start s':>9}{'compile s':>11}"
    ]
    for name, found in speeds.items():
        low, high = found["generation_seconds_p10_p90"]
        lines.append(
            f"{name:28}{found['members_per_second']:10,.0f}{found['generation_seconds']:14.3f}{low:9.3f}-{high:.3f}"
            f"{found['peak_mib']:11,.0f}{found['start_seconds']:9.1f}{found['compile_seconds']:11.1f}"
        )
    return "\n".join(lines)
