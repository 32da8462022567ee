"""What is measured on an accelerator, section by section; benchmarks/accelerator_run.py runs each in a process of its own."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import accelerators, low_rank, memory
from benchmarks.precision import in_turn

WORKLOADS = accelerators.WORKLOADS
CONFIGS = accelerators.CONFIGS
TOLERANCE = 1e-3  # of a loss, relative to the largest; a decision that flips changes one by more


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        workloads: names of them, with changes to their experiments.
        right: members whose losses are compared.
        fast: members whose speed is measured.
        blocks: members evaluated side by side.
        rounds: of every time, of which the median counts.
        width: of the network of low-rank members.
        beside: such members.
        population: of the case that would be a matrix of more than memory holds.
        small: changes to its networks.
        learning: the experiment whose curve is drawn, and changes to it.
        seconds: that it trains.
    """

    workloads: dict[str, dict[str, Any]]
    right: int
    fast: int
    blocks: tuple[int, ...]
    rounds: int
    width: int
    beside: int
    population: int
    small: dict[str, Any]
    learning: tuple[str, dict[str, Any]]
    seconds: float


WHOLE = Size(
    workloads={name: {} for name in WORKLOADS},
    right=16,
    fast=1024,
    blocks=(16, 64, 256),
    rounds=5,
    width=8192,
    beside=1024,
    population=16_384,
    small={},
    learning=("treasure_hunt/five.yaml", {}),
    seconds=90.0,
)
SMALL = {"model.width": 4, "model.blocks": 1, "model.hidden": 8, "model.key": 2}
FEW = {"task.n": 5, "batch.instances": 4, "batch.seeds": 2}
TINY = Size(
    workloads={"colouring": SMALL | FEW},
    right=4,
    fast=8,
    blocks=(1, 2),
    rounds=2,
    width=8,
    beside=4,
    population=16,
    small=SMALL,
    learning=(
        "colouring/one_phase.yaml",
        SMALL | FEW | {"driver.population": 4, "evaluation.seeds": 10, "evaluation.votes": []},
    ),
    seconds=0.5,
)


def right(size: Size, left: float) -> dict[str, Any]:
    """Losses of the same members here and on a CPU, which evaluates them one by one; in full precision, and as usual."""
    import jax

    from es_randomized import Evolution, load
    from es_randomized.compilation import jit_for

    cpu = jax.local_devices(backend="cpu")[0]

    def compare(name: str) -> dict[str, float]:
        config, overrides = _workload(size, name)
        changes = overrides | {"driver.population": size.right, "plan.chunk": size.right}
        here, there = (
            Evolution.of(load(CONFIGS / config, changes | {"plan.block": block})) for block in (size.right // 2, 1)
        )
        proposal = here.strategy.ask(here.init(), 0).proposal
        arguments = proposal, here.chunks[0], here.inputs(0)
        with jax.default_matmul_precision("highest"):
            exact = np.asarray(here.chunk_losses(*arguments))
            with jax.default_device(cpu):
                program = jit_for(there.chunk_losses, "cpu")
                expected = np.asarray(program(*jax.device_put(arguments, cpu)))
        with jax.default_matmul_precision("default"):
            usual = np.asarray(here.chunk_losses(*arguments))
        scale = np.abs(expected).max()
        errors, as_usual = np.abs(exact - expected) / scale, np.abs(usual - expected) / scale
        return {
            "the same": float(np.mean(errors < TOLERANCE)),
            "largest difference": float(errors.max()),
            "the same, as usual": float(np.mean(as_usual < TOLERANCE)),
        }

    with threads() as each:
        return dict(each(compare, size.workloads, left))


def fast(size: Size, left: float) -> dict[str, Any]:
    """Members a second of every workload by block, on one device, and what `check` would say of the same programs."""
    import jax

    from es_randomized import Evolution, load
    from es_randomized.accelerators.bounds import bounds
    from es_randomized.accelerators.device_type import device_here
    from es_randomized.accelerators.hlo import Module
    from es_randomized.device_memory import memory_bytes

    device = device_here()
    cases = [f"{name}, block {block}" for name in size.workloads for block in size.blocks]

    def compiled(case: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        name, block = case.rsplit(", block ", 1)
        config, overrides = _workload(size, name)
        changes = overrides | {"driver.population": size.fast, "plan.chunk": size.fast, "plan.block": int(block)}
        evolution = Evolution.of(load(CONFIGS / config, changes))
        program, began = evolution.programs()[0].function, time.perf_counter()
        arguments = evolution.strategy.ask(evolution.init(), 0).proposal, evolution.chunks[0], evolution.inputs(0)
        made = program.lower(*arguments).compile()
        row: dict[str, Any] = {"seconds to compile": time.perf_counter() - began, "MiB": memory_bytes(made) / 2**20}
        if device:
            work, flops = Module(made.as_text()).work, float(evolution.cost().flops)
            least = bounds(work, flops, device, evolution.experiment.model.precision)
            row["members/s at most"] = size.fast / max(least.values())
            row["loops that may end early"] = work.open_loops
        return made, arguments, row

    rows: dict[str, Any] = {}
    with threads() as each:
        for case, (program, arguments, row) in each(compiled, cases, left):
            placed = jax.device_put(arguments, jax.devices()[0])
            (times,) = in_turn({case: lambda: jax.block_until_ready(program(*placed))}, size.rounds).values()  # noqa: B023
            rows[case] = row | {"members/s": size.fast / statistics.median(times)}
    return rows


def low_rank_members(size: Size, left: float) -> dict[str, Any]:
    """Rank-1 members side by side, alone and with the update, against plain inference on as many cases."""
    makers = low_rank.contestants(size.width, size.beside)
    rows: dict[str, Any] = {"width": size.width, "members": size.beside}
    plain = 0.0
    for name in ("plain inference", "rank 1, side by side", "rank 1, with the update"):
        run = makers[name]()  # one at a time: the weights of each are gigabytes
        (times,) = in_turn({name: run}, size.rounds).values()
        median = statistics.median(times)
        plain = plain or median
        rows[name] = {"seconds": median, "of plain inference": plain / median}
        del run
    return rows


def much_memory(size: Size, left: float) -> dict[str, Any]:
    """A generation whose population would be a matrix of 78 GB."""
    return memory.measure("memory", size.small | {"driver.population": size.population, "plan.memory_mib": 16_384})


def learning(size: Size, left: float) -> dict[str, Any]:
    """How far the 5 × 5 hunt learns in a minute and a half: the mean loss of its members, and the centre's at the end."""
    from es_randomized import Evolution, LocalEvaluator, load, train
    from es_randomized.evaluation.evaluate import evaluate

    config, changes = size.learning
    evolution = Evolution.of(load(CONFIGS / config, changes))
    evaluator, state = LocalEvaluator(evolution), evolution.init()
    curve, seconds, began = [], min(size.seconds, left / 2), time.perf_counter()
    for step in train(evolution, evaluator, state):
        state, took = step.state, time.perf_counter() - began
        curve.append((step.generation, round(took, 3), float(np.mean(step.losses))))
        if took > seconds:
            break
    score = evaluate(evolution.experiment, evolution.centre(state))
    levels = {name: getattr(score.single, name).value for name in ("average", "worst")}
    return {"curve": curve[:: max(1, len(curve) // 50)], "generations": len(curve)} | levels


Section = Callable[[Size, float], dict[str, Any]]
SECTIONS: dict[str, Section] = {
    "right": right,
    "fast": fast,
    "low rank": low_rank_members,
    "memory": much_memory,
    "learning": learning,
}


def _workload(size: Size, name: str) -> tuple[str, dict[str, Any]]:
    config, overrides = WORKLOADS[name]
    return config, overrides | size.workloads[name]


@contextmanager
def threads() -> Iterator[Callable[[Callable[[str], Any], Iterable[str], float], Iterator[tuple[str, Any]]]]:
    """Calls a function for every name, as many at once as there are cores: compiling takes longer than running.

    Names whose turn comes after the time that is left are left out.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def each(function: Callable[[str], Any], names: Iterable[str], left: float) -> Iterator[tuple[str, Any]]:
            end = time.monotonic() + left

            def unless_late(name: str) -> Any:
                return function(name) if time.monotonic() < end else None

            for name, result in zip(names, pool.map(unless_late, names), strict=True):
                if result is not None:
                    yield name, result

        yield each
