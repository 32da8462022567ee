"""Where tasks and models meet: a task states an `Interface`, a model answers with a `Policy`, and neither knows the other.

Batch-last: a *case* is one (instance, seed) pair, and every array has the cases as its last axis,
`[feature, node, case]`. A kernel written this way keeps its features in long contiguous runs, which is worth several
times the speed of a leading batch axis on CPUs, and it serves one case or a million alike.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float

Weights = Any  # a pytree of float32 arrays

# Weights already applied: tokens [feature, node, case] -> outputs [output, node, case].
Policy = Callable[[Float[Array, "feature node case"]], Float[Array, "output node case"]]


class Interface(NamedTuple):
    """What a task asks of a model.

    Attributes:
        features: length of a token.
        outputs: numbers returned per node.
        nodes: tokens per case.
        pattern: which nodes attend to which, a name in models/attention.py.
    """

    features: int
    outputs: int
    nodes: int
    pattern: str
