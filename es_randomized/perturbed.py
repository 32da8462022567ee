"""A weight matrix that is a shared one plus a product of two thin ones, M + A Bᵀ, and is never put together.

Where members are evaluated side by side, M x is one product for all of them and A (Bᵀ x) costs rank (in + out) operations a
case instead of in · out (arXiv:2511.16652). It behaves as far as models use a matrix, so they do not know which they hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Operand = Any  # an array, or a `Rounded` one


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Perturbed:
    """M + A Bᵀ, or a stack of such matrices. Under `vmap` over members only A and B have a member axis.

    Attributes:
        mean: M, [*stack, out, in].
        left: A with the scale of the perturbation, [*stack, out, rank].
        right: B, [*stack, in, rank].
    """

    mean: Operand
    left: Operand
    right: Operand

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix."""
        return self.mean.shape

    @property
    def mT(self) -> "Perturbed":  # noqa: N802, as arrays call it
        """Transposed."""
        return Perturbed(self.mean.mT, self.right, self.left)

    def dense(self) -> Operand:
        """The matrix itself."""
        return self.mean + self.left @ self.right.mT

    def __matmul__(self, other: "Float[Array, 'in column'] | Perturbed") -> Operand:
        x = other.dense() if isinstance(other, Perturbed) else other
        return self.mean @ x + self.left @ (self.right.mT @ x)

    def __add__(self, other: "Perturbed") -> "Perturbed":
        """The sum of two, whose rank is the sum of theirs; for arrays, not for `Rounded` ones."""
        sides = ((self.left, other.left), (self.right, other.right))
        return Perturbed(self.mean + other.mean, *(jnp.concatenate(each, axis=-1) for each in sides))

    def __mul__(self, factor: "float | Float[Array, '']") -> "Perturbed":
        return Perturbed(self.mean * factor, self.left * factor, self.right)

    def __iter__(self) -> Iterator["Perturbed"]:
        """The matrices of a stack."""
        return (Perturbed(*parts) for parts in zip(self.mean, self.left, self.right, strict=True))

    def centred(self) -> "Perturbed":
        """One matrix, no stack, without the mean over its outputs."""
        return Perturbed(centred(self.mean), centred(self.left), self.right)


WeightMatrix = Any  # an array, a `Rounded` or a `Perturbed`


def centred(weight: WeightMatrix) -> WeightMatrix:
    """A matrix [out, in], or a vector [out], without the mean over its outputs: what it gives has zero mean."""
    if isinstance(weight, Perturbed):
        return weight.centred()
    return jax.tree.map(lambda array: array - jnp.mean(array, axis=0, keepdims=True), weight)


def products_of(matrices: Sequence[WeightMatrix], x: Float[Array, "in column"]) -> list[Float[Array, "out column"]]:
    """`matrix @ x` for every matrix: one product where none is `Perturbed`, since small ones cost mostly their
    beginning."""
    if not matrices or any(isinstance(matrix, Perturbed) for matrix in matrices):
        return [matrix @ x for matrix in matrices]
    heights = [matrix.shape[0] for matrix in matrices]
    stacked = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *matrices)
    return jnp.split(stacked @ x, np.cumsum(heights[:-1]))
