"""What memory a program takes, and what is said where its device has no memory for it."""

import jax
import jax.numpy as jnp
import pytest

from es_randomized.compilation import Here
from es_randomized.device_memory import DoesNotFitError, compile_lowered, memory_bytes
from es_randomized.errors import MemoryBudgetError

SAID = [  # as libtpu does
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. "
    "Used 22.51G of 15.75G hbm. Exceeded hbm capacity by 6.76G.",
    "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (22.51G) exceeds available "
    "HBM (15.75G).",
]


class Lowered:
    def __init__(self, message):
        self.message = message

    def compile(self, options):
        raise jax.errors.JaxRuntimeError(self.message)


class Program:
    """Too large for its device."""

    def __init__(self, message):
        self.message = message

    def lower(self, *shapes):
        return Lowered(self.message)


@pytest.mark.parametrize("said", SAID)
def test_what_a_device_has_no_memory_for_is_said_in_numbers(said):
    with pytest.raises(MemoryBudgetError, match=r"needs 22.5 GiB, but its device has 15.8 GiB for programs") as caught:
        compile_lowered(Lowered(said))
    assert isinstance(caught.value, DoesNotFitError)
    assert Here().memory_bytes(Program(said)) == caught.value.wanted == int(22.51 * 2**30)


def test_other_errors_of_a_compiler_stay_what_they_are():
    with pytest.raises(jax.errors.JaxRuntimeError, match="no such instruction"):
        compile_lowered(Lowered("no such instruction"))


def test_bytes_are_those_of_arguments_and_results_at_least():
    compiled = compile_lowered(jax.jit(lambda x: x + 1).lower(jnp.zeros(256)))
    assert memory_bytes(compiled) >= 2 * 4 * 256
