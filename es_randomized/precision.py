"""What policies compute with where that is not float32: bfloat16 or float64.

bfloat16: matrix products of rounded operands that are added up in float32; everything else stays float32. A `Rounded` matrix
holds float32 numbers and behaves as far as models use a matrix, so they do not know which they hold. Its operands are rounded
where a product needs them and nowhere else: weights, noise, the tokens between layers, norms, softmax, losses and a strategy's
state never are, and what an update adds up is what was tried.

float64, for whoever checks numbers: all that policies, losses and objectives compute. Draws, weights and updates stay float32:
the same numbers as in a float32 run. JAX knows float64 only where it is allowed, which is inside such programs and nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, BFloat16, Float, Float32

from es_randomized.policy import Weights

Precision = Literal["float32", "bfloat16", "float64"]
Tree = TypeVar("Tree")


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """A block in which programs of this precision are traced, compiled and called."""
    if precision != "float64":
        yield
        return
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # float32 draws meet float64 weights
        yield


@contextmanager
def drawing(precision: Precision) -> Iterator[None]:
    """A block inside such a program that computes what a float32 program would."""
    if precision != "float64":
        yield
        return
    with jax.enable_x64(False):
        yield


def widened(tree: Tree, precision: Precision) -> Tree:
    """Arrays of a pytree as policies of this precision compute with them: float32 ones as float64, or all as they are."""
    if precision != "float64":
        return tree
    wide: Tree = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, tree)
    return wide


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rounded:
    """A matrix, or a stack of them, whose products round both operands to bfloat16.

    Attributes:
        exact: the float32 matrix.
    """

    exact: Float[Array, "*stack out in"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix."""
        return self.exact.shape

    @property
    def mT(self) -> "Rounded":  # noqa: N802, as arrays call it
        """Transposed."""
        return Rounded(self.exact.mT)

    def __matmul__(self, other: "Rounded | Float32[Array, '...']") -> "Rounded | Float32[Array, '...']":
        """A matrix of the same kind for one of the same kind, float32 columns for columns."""
        if isinstance(other, Rounded):
            return Rounded(multiply(self.exact, other.exact))
        return multiply(self.exact, other)

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.exact + other.exact)

    def __mul__(self, factor: float) -> "Rounded":
        return Rounded(self.exact * factor)

    def __iter__(self) -> Iterator["Rounded"]:
        """The matrices of a stack."""
        return map(Rounded, self.exact)


def rounded(weights: Weights) -> Weights:
    """A model's weights with every matrix, shared and thin ones too, as a `Rounded` one; vectors stay as they are."""
    return jax.tree.map(lambda leaf: Rounded(leaf) if leaf.ndim > 1 else leaf, weights)


@jax.custom_vjp
def multiply(a: Float32[Array, "*stack out in"], b: Float32[Array, "*stack in column"]) -> Float32[Array, "..."]:
    """a @ b of rounded operands, added up in float32. Its derivatives are products of the same kind.

    JAX's own would multiply a float32 slope with a bfloat16 operand, for which no processor has an instruction.
    """
    return _product(_round(a), _round(b))


def _forward(a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    rounded_operands = _round(a), _round(b)
    return _product(*rounded_operands), rounded_operands


def _backward(operands: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    (a, b), slope = operands, _round(cotangent)
    return _product(slope, b.mT), _product(a.mT, slope)


multiply.defvjp(_forward, _backward)


def _round(x: Float32[Array, "..."]) -> BFloat16[Array, "..."]:
    return x.astype(jnp.bfloat16)


def _product(a: BFloat16[Array, "..."], b: BFloat16[Array, "..."]) -> Float32[Array, "..."]:
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)
