"""The pool of instances that the hard ones of a batch are chosen from: a program of the coordinator's own."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from es_randomized.compilation import Compiler, jit
from es_randomized.drivers import plan
from es_randomized.drivers.driver import Program
from es_randomized.drivers.ledger import pool_cost
from es_randomized.errors import MemoryBudgetError
from es_randomized.fitness import Fitness, GenerationInputs


@dataclass(frozen=True)
class Pool:
    """The instances of a generation among which weights find the hardest.

    Attributes:
        weights: their shape.
    """

    fitness: Fitness
    weights: Any
    compiler: Compiler

    @cached_property
    def hardest(self) -> Any:
        """The compiled choice: (weights, inputs) -> places in the pool, see `Fitness.hardest`."""
        return jit(self.fitness.hardest, self.fitness.model.precision)

    @property
    def program(self) -> Program:
        """What a generation runs of it."""
        cost = pool_cost(self.fitness.task, self.fitness.model, self.fitness.batch)
        return Program("hardest inputs", self.hardest, self._arguments, 1, float(cost.flops))

    def check(self, memory_mib: int) -> None:
        """Refuse a pool that there is no room to look at.

        Raises:
            MemoryBudgetError: the program takes more than that.
        """
        needed = self.compiler.memory_bytes(self.hardest, *self._arguments)
        if needed > memory_mib * plan.MIB:
            raise MemoryBudgetError(
                f"finding the hardest of {self.fitness.batch.hardest_of} instances needs {needed / plan.MIB:,.1f} MiB, but "
                f"plan.memory_mib is {memory_mib}; use a smaller batch.hardest_of, or raise plan.memory_mib if there is memory"
            )

    @property
    def _arguments(self) -> tuple[Any, GenerationInputs]:
        return self.weights, self.fitness.inputs(self.fitness.first)
