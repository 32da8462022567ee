"""The benchmark against other libraries: the plain model is the same function, and runs are counted right."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks.peers.level import EVERY, crossing, medians
from benchmarks.peers.processes import Watched, tree_bytes
from benchmarks.peers.shared import plain_jax
from benchmarks.peers.shared.protocol import FEWEST, FIRST, Config, Report, run
from benchmarks.peers.summary import against_peers, summary
from benchmarks.peers.workload import Judgement, configured, write_given

MIB = 2**20


class Steps:
    """A peer that takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.done = seconds, 0

    def case_losses(self, weights: np.ndarray, cycles: np.ndarray, noise: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def generation(self) -> float:
        time.sleep(self.seconds)
        self.done += 1
        return 1.0 / self.done

    def centre(self) -> np.ndarray:
        return np.full(2, self.done)


def config(tmp_path: Path, generations: int, seconds: float) -> Config:
    return configured("", 4, generations, seconds, 3, tmp_path)


def test_the_plain_model_gives_the_same_losses(tmp_path):
    asked = config(tmp_path, 1, 0.0)
    expected = write_given(asked)
    with np.load(asked.given) as given:
        with jax.numpy_rank_promotion("allow"):  # as users have it
            found = jax.jit(plain_jax.case_losses)(*(given[name] for name in ("weights", "cycles", "noise")))
        assert len(given["centre"]) == len(given["weights"]) == 6531
    assert expected.shape == (64, 8)
    assert expected.std() > 0.1  # weights whose losses say something
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_configuration_survives_its_way_to_the_peer(tmp_path):
    asked = config(tmp_path, 7, 1.5)
    assert Config(**json.loads(json.dumps(asdict(asked)))) == asked
    assert {field.name for field in fields(Report)} == {"start_seconds", "generation_seconds", "losses", "versions"}


@pytest.mark.parametrize(("generations", "limit", "expected"), [(4, 100.0, 4), (1000, 0.0, FIRST + FEWEST)])
def test_a_run_ends_at_the_first_limit(tmp_path, generations, limit, expected):
    seconds, losses, centres = run(Steps(0.002), config(tmp_path, generations, limit))
    assert len(seconds) == len(losses) == len(centres) == expected
    assert min(seconds) >= 0.002
    assert [centre[0] for centre in centres] == list(range(1, expected + 1))


def test_speed_leaves_compilation_out_and_compilation_is_what_the_first_took_longer():
    report = Report(1.0, [5.0, *[0.5] * 12], [1.0] * 13, {"a": "1"})
    found = summary([Watched(report, 3 * MIB), Watched(report, 5 * MIB)], population=100)
    assert found["members_per_second"] == 200
    assert found["compile_seconds"] == 4.5
    assert found["peak_mib"] == 4
    assert found["generations_timed"] == 20


def test_ratios_are_to_the_fastest_peer_and_to_the_smallest():
    speeds = {
        "es_randomized": {"members_per_second": 1000.0, "peak_mib": 100.0},
        "evosax": {"members_per_second": 200.0, "peak_mib": 400.0},
        "EvoX": {"members_per_second": 100.0, "peak_mib": 200.0},
    }
    found = against_peers(speeds)
    assert found["times_as_fast"] == {"es_randomized": 5.0}
    assert found["memory_over_fastest_peer"] == {"es_randomized": 0.25}
    assert found["memory_over_smallest_peer"] == {"es_randomized": 0.5}


def judged(weights: np.ndarray, everything: bool) -> Judgement:
    """A line through the generations, a little lower on all cycles."""
    return Judgement(1.0, float(weights[0]) / 50 - (0.2 if everything else 0.0))


def test_the_crossing_is_the_first_weights_looked_at_that_are_good_enough_on_all_cycles():
    centres = np.arange(1, 101, dtype=float)[:, None]
    generation, curve = crossing(centres, judged)
    assert generation == 50  # 36.75 by the line, 46.75 by that of all cycles, and looked at every EVERY generations
    assert [point["generation"] for point in curve] == [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY, 5 * EVERY]
    assert ["all_cycles" in point for point in curve] == [False, False, False, True, True]
    assert crossing(centres, lambda *_: Judgement(1.0, 0.0))[0] is None


def test_a_racer_that_did_not_arrive_once_has_no_median():
    rounds = [{"a": {"seconds": 1.0}, "b": {"seconds": 2.0}}, {"b": {"seconds": None}, "a": {"seconds": 4.0}}]
    assert medians(rounds, "seconds") == {"a": 2.5, "b": None}


def test_memory_of_a_tree_counts_children():
    code = "x = bytearray(60 * 2**20); x[::4096] = b'1' * len(x[::4096]); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        alone = tree_bytes(child.pid)
        both = tree_bytes(os.getpid())
        child.communicate(b"\n")
    assert 60 * MIB < alone < 90 * MIB
    assert both > alone + 20 * MIB
