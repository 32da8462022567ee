"""How many members or pairs an accelerator evaluates side by side: the block whose program can be the fastest, by its bounds.

Programs are compiled and looked at, not timed, so that a plan, and with it the bits of a run, does not hang on luck.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from es_randomized.accelerators.bounds import bounds
from es_randomized.accelerators.device_type import CompilerOf, DeviceType, device_here
from es_randomized.accelerators.hlo import Module, Work
from es_randomized.compilation import Compiler
from es_randomized.device_memory import memory_bytes
from es_randomized.drivers.driver import Program
from es_randomized.errors import MemoryBudgetError

if TYPE_CHECKING:
    from es_randomized.drivers.evolution import Evolution

BLOCKS = (16, 64, 256)  # tried
BLOCK = 64  # where nothing is known of the device, or none of those fits


class Candidate(NamedTuple):
    """A block that was tried.

    Attributes:
        seconds: that evaluating a member takes at least.
        bytes: that it moves.
    """

    block: int
    seconds: float
    bytes: float


def best_block(of_block: Callable[[int], "Evolution"], compiler: Compiler) -> int:
    """The block to take where the plan leaves it open.

    Args:
        of_block: makes the driver with that block.
    """
    if compiler.platform == "cpu":
        return 1
    return next((tried.block for tried in candidates(of_block, compiler)), BLOCK)


def candidates(of_block: Callable[[int], "Evolution"], compiler: Compiler) -> list[Candidate]:
    """Blocks that fit plan and device, the one with the shortest bound first; none where nothing is known of the device."""
    device = compiler.device if isinstance(compiler, CompilerOf) else device_here()
    return sorted(_tried(of_block, compiler, device), key=lambda each: each.seconds) if device else []


def _tried(of_block: Callable[[int], "Evolution"], compiler: Compiler, device: DeviceType) -> Iterator[Candidate]:
    for block in BLOCKS:
        try:
            evolution = of_block(block)
            chunk = evolution.programs()[0]
            compiled = compiler.compile(chunk.function, *chunk.arguments)
        except MemoryBudgetError:
            continue
        if memory_bytes(compiled) <= device.usable:
            yield _candidate(block, evolution, chunk, Module(compiled.as_text()).work, device)
        if block >= evolution.chunk_rows:  # more than there are cannot stand side by side
            return


def _candidate(block: int, evolution: "Evolution", chunk: Program, work: Work, device: DeviceType) -> Candidate:
    members, precision = int(evolution.experiment.plan.chunk), evolution.experiment.model.precision
    least = max(bounds(work, chunk.flops, device, precision).values())
    return Candidate(block, least / members, work.bytes / members)
