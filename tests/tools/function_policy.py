"""A policy that is any function of the tokens and remembers nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Array

from es_randomized.policy import Memoryless


@dataclass(frozen=True)
class FunctionPolicy(Memoryless):
    """Applies `function` to tokens [feature, node, case]."""

    function: Callable[[Array], Array]

    def __call__(self, tokens: Array) -> Array:
        return self.function(tokens)
