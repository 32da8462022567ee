"""The matrix products of a program, alone: what a kernel would cost if nothing but its `dot_general`s had to be computed.

They are read from the traced program itself, with how often each runs, so nobody has to say what a model's products are.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

COPIES = 8  # left operands that are used in turn, as members have weights of their own


class Product(NamedTuple):
    """A matrix product as it stands in a program: the shapes and type of its operands and which axes it sums and pairs."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    dtype: str
    dimensions: Any
    result: str

    @property
    def flops(self) -> int:
        """A multiply and an add count two."""
        (_, summed), (_, paired) = self.dimensions
        columns = math.prod(size for axis, size in enumerate(self.right) if axis not in (*summed, *paired))
        return 2 * math.prod(self.left) * columns


def products(function: Callable[..., Any], *arguments: Any, repeats: int = 1) -> Counter[Product]:
    """How often each matrix product runs in one call of `function`.

    Args:
        repeats: how often the body of a loop runs whose end the program decides while it runs.
    """
    counts: Counter[Product] = Counter()
    for product, times in _inside(jax.make_jaxpr(function)(*arguments).jaxpr, 1, repeats):
        counts[product] += times
    return counts


def flops(counts: Counter[Product]) -> int:
    """Floating-point operations of all of them."""
    return sum(product.flops * times for product, times in counts.items())


def alone(counts: Counter[Product]) -> tuple[Callable[..., Any], list[Any]]:
    """A function that computes all these products and nothing else, and its operands."""
    kinds = list(counts.items())

    def function(operands: list[Any]) -> list[Any]:
        return [_repeated(product, times, *pair) for (product, times), pair in zip(kinds, operands, strict=True)]

    keys = jax.random.split(jax.random.key(0), 2 * len(kinds))
    draws = [
        (
            jax.random.normal(keys[2 * index], (COPIES, *product.left)).astype(product.dtype),
            jax.random.normal(keys[2 * index + 1], product.right).astype(product.dtype),
        )
        for index, (product, _) in enumerate(kinds)
    ]
    return function, draws


def _repeated(product: Product, times: int, left: Any, right: Any) -> Any:
    def body(index: Any, _: Any) -> Any:
        return jax.lax.dot_general(
            jax.lax.dynamic_index_in_dim(left, index % COPIES, keepdims=False),
            right,
            product.dimensions,
            preferred_element_type=jnp.dtype(product.result),
        )

    return jax.lax.fori_loop(1, times, body, body(0, None))


def _inside(jaxpr: Any, times: int, repeats: int) -> Iterator[tuple[Product, int]]:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            left, right = (operand.aval for operand in equation.invars)
            result = equation.outvars[0].aval.dtype.name
            yield Product(left.shape, right.shape, left.dtype.name, equation.params["dimension_numbers"], result), times
        inner = times * {"scan": equation.params.get("length", 1), "while": repeats}.get(name, 1)
        for value in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if _is_program(value):
                yield from _inside(getattr(value, "jaxpr", value), inner, repeats)


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")
