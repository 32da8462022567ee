"""What memory a compiled program takes, also one that its device has no memory for."""

import re
from typing import Any

import jax

from es_randomized.errors import MemoryBudgetError

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
GIB = UNITS["G"]
SIZE = r"([\d.]+)([KMGT])"
REFUSALS = (  # as libtpu words them
    re.compile(rf"Used {SIZE} of {SIZE} hbm"),
    re.compile(rf"required for HLO temporaries \({SIZE}\) exceeds available HBM \({SIZE}\)"),
)


class DoesNotFitError(MemoryBudgetError):
    """A program that a device has no memory for, as its compiler says.

    Attributes:
        wanted: bytes.
    """

    def __init__(self, wanted: int, there: int) -> None:
        super().__init__(
            f"a program needs {wanted / GIB:.1f} GiB, but its device has {there / GIB:.1f} GiB for programs; make the "
            "population, the model, plan.chunk or plan.block smaller"
        )
        self.wanted = wanted


def compile_lowered(lowered: Any, options: dict[str, Any] | None = None) -> Any:
    """A lowered program compiled, as `jax.stages.Compiled`.

    Raises:
        DoesNotFitError: the memory of the device does not hold it. Compilers for TPUs say so, others leave it to the first call.
    """
    try:
        return lowered.compile(options)
    except jax.errors.JaxRuntimeError as error:
        found = next((found for each in REFUSALS if (found := each.search(str(error)))), None)
        if found is None:
            raise
        wanted, there = (int(float(number) * UNITS[unit]) for number, unit in (found.group(1, 2), found.group(3, 4)))
        raise DoesNotFitError(wanted, there) from None


def memory_bytes(compiled: Any) -> int:
    """Bytes of arguments, temporaries and results of a compiled program."""
    analysis = compiled.memory_analysis()
    return int(analysis.argument_size_in_bytes + analysis.temp_size_in_bytes + analysis.output_size_in_bytes)
