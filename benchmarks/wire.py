"""Bytes on the wire per generation, measured: a node of its own behind a virtual network cable, whose counters are read.

    python -m benchmarks.wire          (Linux, root: it makes two network namespaces and removes them)
    python -m benchmarks.wire --sizes 1e4 --kinds Open_ES --generations 2 --idle 1       only to see that it runs

Coordinator and Ray's head are on one side, one worker node on the other. Everything that passes is counted, Ray's own
messages too. What passes while nothing is evaluated is measured first and reported beside it. Noise is Rademacher, to be
quick; it does not travel. Updates are computed by the worker, which sends more than if the coordinator computed them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.record import record

POPULATION = 1_024
MODELS = {"1e4": (32, 120), "1e5": (96, 420), "1e6": (320, 1_240)}  # width and hidden features
GENERATIONS = {"1e4": 60, "1e5": 25, "1e6": 3}
KINDS = ("Open_ES", "PGPE")
HEAD, NODE, ADDRESS = "wire-head", "wire-node", "10.77.0.1:6399"
SLACK = 64 * 2**10


@contextmanager
def cable() -> Iterator[None]:
    """Two network namespaces joined by a cable, 10.77.0.1 and 10.77.0.2."""
    commands = [f"ip netns add {HEAD}", f"ip netns add {NODE}", "ip link add wire0 type veth peer name wire1"]
    for end, (space, host) in enumerate(((HEAD, 1), (NODE, 2))):
        commands += [
            f"ip link set wire{end} netns {space}",
            f"ip -n {space} addr add 10.77.0.{host}/24 dev wire{end}",
            f"ip -n {space} link set wire{end} up",
            f"ip -n {space} link set lo up",
        ]
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield
    finally:
        for space in (HEAD, NODE):
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False).stdout
            for pid in pids.split():
                subprocess.run(["kill", "-9", pid], check=False)
            subprocess.run(["ip", "netns", "del", space], check=False)


def within(space: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", space, *command]


def counters() -> dict[str, int]:
    """Bytes so far: down to the node and up from it."""
    folder = Path("/sys/class/net/wire0/statistics")
    return {"down": int((folder / "tx_bytes").read_text()), "up": int((folder / "rx_bytes").read_text())}


def passed(before: dict[str, int], units: float) -> dict[str, float]:
    return {way: round((count - before[way]) / units) for way, count in counters().items()}


def measure(kind: str, size: str, generations: int, idle_seconds: float) -> dict[str, Any]:
    """One experiment: bytes per generation and what they may be at most."""
    import jax

    from es_randomized import Evolution
    from es_randomized.config.yaml import build
    from es_randomized.scaling.instrument import InstrumentedEvaluator

    width, hidden = MODELS[size]
    tree = {
        "task": {"kind": "benchmarks.zero_cost"},
        "objective": {"kind": "expected"},
        "model": {"width": width, "blocks": 1, "hidden": hidden},
        "batch": {"instances": 1, "seeds": 1},
        "driver": {"kind": kind, "population": POPULATION, "noise": "rademacher"},
        "budget": {"generations": 1_000},
    }
    evolution = Evolution.of(build(tree))
    with InstrumentedEvaluator(evolution, 1) as evaluator:
        evaluator.here = False
        state = evolution.init()
        _, state = evolution.step(state, 0, evaluator)
        before = counters()
        time.sleep(idle_seconds)
        idle = passed(before, idle_seconds)
        before, began = counters(), time.monotonic()
        for generation in range(1, 1 + generations):
            _, state = evolution.step(state, generation, evaluator)
        seconds = (time.monotonic() - began) / generations
        result = passed(before, generations)
    vectors = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    bound = vectors + 8 * POPULATION + SLACK
    return {
        "parameters": evolution.parameters,
        "bytes per generation": result,
        "bytes per second while idle": idle,
        "seconds per generation": seconds,
        "state vectors": vectors,
        "bound": bound,
        "of the bound": round((result["down"] + result["up"]) / bound, 3),
        "of the bound, without what passes while idle": round(
            (result["down"] + result["up"] - seconds * (idle["down"] + idle["up"])) / bound, 3
        ),
    }


def inside(given: argparse.Namespace) -> None:
    """In the head's namespace: the coordinator."""
    from es_randomized import compilation
    from es_randomized.distributed.session import connect

    with connect(None, ADDRESS):
        compilation.configure(devices=1)
        results = {
            kind: {
                size: measure(kind, size, given.generations or GENERATIONS[size], given.idle) for size in given.sizes
            }
            for kind in given.kinds
        }
    print(json.dumps(results))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=MODELS, default=list(MODELS), help="parameters, about")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--generations", type=int, help="of every size; more of smaller ones by default")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds in which nothing is evaluated")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    given = parsed()
    if given.inside:
        inside(given)
        return
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats"]
    small = ["--object-store-memory", str(200 * 2**20)]
    head = ["--head", "--node-ip-address=10.77.0.1", "--port=6399", "--num-cpus=0", "--include-dashboard=false"]
    node = [f"--address={ADDRESS}", "--node-ip-address=10.77.0.2", "--num-cpus=1"]
    with cable():
        for space, options in ((HEAD, head), (NODE, node)):
            subprocess.run(within(space, *ray, *options, *small), check=True, stdout=subprocess.DEVNULL)
        command = within(HEAD, sys.executable, "-m", "benchmarks.wire", "--inside", *sys.argv[1:])
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    results = json.loads(output.splitlines()[-1])
    for kind, sizes in results.items():
        for result in sizes.values():
            bytes_ = result["bytes per generation"]
            print(
                f"{kind:8} {result['parameters']:>9,} parameters: {bytes_['down']:>10,} down {bytes_['up']:>10,} up, "
                f"{result['of the bound']:.2f} of the bound, "
                f"{result['of the bound, without what passes while idle']:.2f} without what passes while idle"
            )
    record("wire", results)


if __name__ == "__main__":
    main()
