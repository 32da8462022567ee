"""A policy that is any function of the tokens and remembers nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array

from es_randomized.policy import Memory, Policy


@dataclass(frozen=True)
class FunctionPolicy(Policy):
    """Applies `function` to all tokens [feature, node, case], or to one [feature, case]."""

    function: Callable[[Array], Array]

    def __call__(self, tokens: Array) -> Array:
        return self.function(tokens)

    def empty(self, cases: int) -> Memory:
        return ()

    def step(self, memory: Memory, token: Array, slot: Any, active: Any = True) -> tuple[Array, Memory]:
        return self.function(token), memory

    def trace(self, memory: Memory) -> Any:
        return ()

    def branch(self, memory: Memory, traces: Any, slots: Any, parents: Any) -> Memory:
        return ()
