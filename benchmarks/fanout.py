"""How many workers one process serves: the real engine on real Ray, with workers that sleep instead of computing.

    python -m benchmarks.fanout                          (about 15 minutes, 13 GB of memory)
    python -m benchmarks.fanout --workers 8 --seconds 0.1

Several nodes on this machine have so many workers together. In a generation each of them gets eight units that take so many
seconds each, more or less by `--spread`: all of it is ideally over after eight times that. Flat: the coordinator serves
everybody. Tree: a supervisor a node. All processes share the cores here, so that 128 workers which compute nothing still keep
them busy with messages; on a real cluster the workers' half of that is theirs. Efficiency: ideal over measured time.
"""

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.record import record

WORKERS = (8, 32, 64, 128)
SECONDS = (0.1, 0.3, 1.0)  # of a unit
UNITS = 8  # of a worker in a generation
SHAPES = ("flat", "tree")
MEMBERS = 2  # of a unit
REST = 10.0  # seconds


def nodes_of(workers: int) -> int:
    """Machines: 2 to 8, of up to 16 workers each."""
    return max(2, min(8, workers // 8))


def sleeping(pace: Path, versions: dict[str, str | None]) -> type:
    """A worker that sleeps so many seconds a unit as the file `pace` says, of which the second number is the spread.

    It travels by value and imports nothing of this project, since a process with JAX would take 200 MB.
    """

    class WorkerSleeps:
        def __init__(self, *_: object) -> None:
            import ray

            self._node = ray.get_runtime_context().get_node_id()

        def ready(self) -> tuple[object, ...]:
            return self._node, "cpu", "cpu", versions, os.getpid(), 1

        def call(self, packed: bytes, *_: object) -> bytes:
            import random
            import struct

            head, units = pickle.loads(packed)
            generation = pickle.loads(head)[1]
            seconds, spread = map(float, pace.read_text().split())
            times = [
                seconds * (1 + random.Random(generation * 10**6 + unit).uniform(-spread, spread)) for unit in units
            ]
            time.sleep(sum(times))
            return struct.pack("<dqqq", sum(times), 1, 0, 0) + b"".join(
                struct.pack("<ff", unit, -unit) for unit in units
            )

    return WorkerSleeps


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """A head and nodes for so many workers on this machine; their address."""
    from es_randomized.distributed.ray_internals import LOOPBACK_ONLY, NICENESS, several_nodes

    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", **LOOPBACK_ONLY, NICENESS: "0"}
    store = {"object_store_memory": 80 * 2**20}
    nodes, left = several_nodes({"num_cpus": 0} | store), workers
    try:
        for index in range(count := nodes_of(workers)):
            each = -(-left // (count - index))
            nodes.add_node(num_cpus=each, **store)
            left -= each
        yield nodes.address
    finally:
        nodes.shutdown()


def measure(workers: int, shape: Any, seconds: list[float], spread: float, generations: int) -> dict[str, Any]:
    """Every length of a unit, with one set of workers."""
    from es_randomized import Evolution
    from es_randomized.config.yaml import build
    from es_randomized.distributed import events
    from es_randomized.distributed.evaluator import RayEvaluator
    from es_randomized.runs.provenance import deciding_versions

    tree = {
        "task": {"kind": "benchmarks.zero_cost"},
        "objective": {"kind": "expected"},
        "model": {"width": 2, "blocks": 1, "hidden": 1},
        "batch": {"instances": 1, "seeds": 1},
        "driver": {"kind": "Open_ES", "population": MEMBERS * UNITS * workers},
        "plan": {"chunk": MEMBERS},
        "budget": {"generations": 1_000},
    }
    evolution, pace, calls = Evolution.of(build(tree)), Path(tempfile.mkdtemp()) / "pace", list[int]()

    def hear(event: events.Event) -> None:
        if isinstance(event, events.CallIssued):
            calls[-1] += 1

    began, calls = time.monotonic(), [0]
    worker = sleeping(pace, deciding_versions())
    with RayEvaluator(evolution, workers, listener=hear, fanout=shape, worker=worker) as evaluator:
        first = time.monotonic() - began
        pace.write_text("0 0")
        number = 0
        while sum(status.workers for status in evaluator.workers()) < workers:
            evaluator.evaluate(evolution.strategy.ask(evolution.init(), number))
            number += 1
            time.sleep(0.1)
        started = time.monotonic() - began
        rows, idle = [], _busy_at_rest()
        for each in seconds:
            pace.write_text(f"{each} {spread}")
            measured = []
            for generation in range(1 + generations):
                ask = evolution.strategy.ask(evolution.init(), number := number + 1)
                evaluator.message_of(ask)
                calls.append(0)
                before = _clocks()
                losses = evaluator.evaluate(ask)
                took = tuple(late - early for late, early in zip(_clocks(), before, strict=True))
                assert (losses == _expected(len(evolution.chunks))).all()
                if generation:
                    measured.append((*took, calls[-1]))
            rows.append({"seconds of a unit": each} | _row(each * UNITS, measured))
    return {
        "seconds to the first worker": first,
        "seconds to all workers": started,
        "cores busy at rest": idle,
        "rows": rows,
    }


def _clocks() -> tuple[float, ...]:
    """Seconds: of the wall, of all threads here, of this one, and of the machine's busy cores."""
    return time.monotonic(), time.process_time(), time.thread_time(), _busy()


def _busy() -> float:
    """Seconds that this machine's cores were busy since it started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _busy_at_rest() -> float:
    """Cores that are busy with all these processes while nobody asks anything."""
    before = _busy()
    time.sleep(REST)
    return (_busy() - before) / REST


def _expected(units: int) -> Any:
    import numpy as np

    return np.concatenate([np.arange(units, dtype=np.float32), -np.arange(units, dtype=np.float32)])


def _row(ideal: float, measured: list[tuple[float, ...]]) -> dict[str, float]:
    walls, process, thread, busy, calls = (list(column) for column in zip(*measured, strict=True))
    return {
        "efficiency": ideal / statistics.median(walls),
        "efficiency, lowest": ideal / max(walls),
        "seconds of a generation": statistics.median(walls),
        "seconds of the coordinator's processor, all threads": statistics.median(process),
        "seconds of its own thread": statistics.median(thread),
        "cores busy": sum(busy) / sum(walls),
        "calls of the coordinator": statistics.median(calls),
        "milliseconds of its own thread per call": 1e3 * sum(thread) / sum(calls),
    }


def line(row: dict[str, float]) -> str:
    thread, process = row["seconds of its own thread"], row["seconds of the coordinator's processor, all threads"]
    return (
        f"units of {row['seconds of a unit']:.1f} s: efficiency {row['efficiency']:.3f}, "
        f"coordinator {row['calls of the coordinator']:.0f} calls, {1e3 * thread:.0f} ms of its own thread "
        f"and {1e3 * process:.0f} ms of all its threads a generation, {row['cores busy']:.2f} cores busy"
    )


def inside(given: argparse.Namespace) -> dict[str, Any]:
    """Both shapes for one number of workers."""
    from es_randomized import compilation
    from es_randomized.distributed.session import connect

    workers = given.workers[0]
    with cluster(workers) as address, connect(None, address):
        compilation.configure(platform="cpu", devices=1)
        return {
            shape: measure(workers, shape, given.seconds, given.spread, given.generations) for shape in given.shapes
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--seconds", type=float, nargs="+", default=SECONDS, help="of a unit")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--spread", type=float, default=0.0, help="0.2: units take 0.8 to 1.2 times their seconds")
    parser.add_argument("--generations", type=int, default=3, help="measured, after one that is not")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(inside(given)))
        return
    results: dict[str, Any] = {"units of a worker": UNITS, "spread": given.spread, "workers": {}}
    for workers in given.workers:
        command = [sys.executable, "-m", "benchmarks.fanout", "--inside", "--workers", str(workers)]
        command += ["--seconds", *map(str, given.seconds), "--shapes", *given.shapes]
        command += ["--spread", str(given.spread), "--generations", str(given.generations)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        results["workers"][str(workers)] = {"machines": nodes_of(workers)} | found
        for shape in given.shapes:
            for row in found[shape]["rows"]:
                print(f"{workers:4d} workers {shape}: {line(row)}", flush=True)
            print(
                f"{workers:4d} workers {shape}: {found[shape]['seconds to all workers']:.0f} s to start, "
                f"{found[shape]['cores busy at rest']:.2f} cores busy at rest",
                flush=True,
            )
    record("fanout", results)


if __name__ == "__main__":
    main()
