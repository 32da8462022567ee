"""Noise [row, param] of zero mean and unit variance, of which any block can be drawn alone, with the same bits every time.

`Normal` has the numbers of `jax.random.normal`. JAX's partitionable threefry makes entry k of a draw from the key and k alone, so
a block of rows and columns needs no other entries. `Rademacher` and `Table` are cheaper and have other distributions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, Key, Shaped, UInt32

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.strategies.threefry import WORD, threefry

Index = int | np.integer | Integer[Array, ""]
Kept = Float[Array, " entry"] | None  # what `Noise.prepare` made
HALF, LOW = np.uint32(16), np.uint32(0xFFFF)


class RowWeights(NamedTuple):
    """What multiplies the rows of noise z in the sums an update reads.

    Attributes:
        noise: a of the sum over rows Σ a z.
        squares: b of the sum over rows Σ b z²; None where the update does not read it.
    """

    noise: Float[Array, " row"]
    squares: Float[Array, " row"] | None = None


class Noise(ABC):
    """Rows of noise of zero mean and unit variance.

    Attributes:
        columns: entries of a row.
        align: first columns and widths of blocks are multiples of it.
        draws_per_entry: random numbers of 32 bits that an entry costs.
    """

    columns: int
    align: int = 1
    draws_per_entry: float = 1.0

    @property
    def title(self) -> str:
        """For people."""
        return type(self).__name__.lower()

    def prepare(self, seed: int) -> Kept:
        """What every process makes once and keeps for blocks; None where blocks need nothing."""
        return None

    @abstractmethod
    def block(
        self, kept: Kept, key: Key[Array, ""], rows: Int[Array, " row"], first: Index, width: int
    ) -> Float[Array, "row width"]:
        """Columns first, ..., first + width - 1 of some rows; past the last column anything.

        Args:
            kept: what `prepare` returned.
            key: of the generation.
            first: a multiple of `align`; may be traced.
        """

    def sums(
        self, kept: Kept, key: Key[Array, ""], weights: RowWeights, top: Index, first: Index, width: int
    ) -> Float[Array, "sum width"]:
        """Σ a z and, where weights has b, Σ b z² over the rows top, top + 1, ..., for some columns.

        Rows are added one after the other, so the order, and with it the rounding, is the same everywhere.

        Args:
            weights: of these rows.
            top: may be traced.
        """

        def add(row: Int[Array, ""], sums: Float[Array, "sum width"]) -> Float[Array, "sum width"]:
            z = self.block(kept, key, (top + row)[None], first, width)[0]
            terms = [weights.noise[row] * z]
            if weights.squares is not None:
                terms.append(weights.squares[row] * (z * z))
            return sums + jnp.stack(terms)

        nothing = jnp.zeros((1 if weights.squares is None else 2, width))
        return jax.lax.fori_loop(0, len(weights.noise), add, nothing)


@dataclass(frozen=True)
class Normal(Noise):
    """The normals of `jax.random.normal(key, (rows, columns))`, bit for bit."""

    columns: int

    def block(
        self, kept: Kept, key: Key[Array, ""], rows: Int[Array, " row"], first: Index, width: int
    ) -> Float[Array, "row width"]:
        return _halves(lambda start, size: _normal(_bits(key, rows, self.columns, start, size)), first, width)


@dataclass(frozen=True)
class Rademacher(Noise):
    """+1 or -1: a bit an entry, so 32 entries for the price of one normal."""

    columns: int
    align: int = WORD
    draws_per_entry: float = 1 / WORD

    def block(
        self, kept: Kept, key: Key[Array, ""], rows: Int[Array, " row"], first: Index, width: int
    ) -> Float[Array, "row width"]:
        words_of_a_row = -(-self.columns // WORD)

        def words(start: Index, size: int) -> UInt32[Array, "row word"]:
            return _bits(key, rows, words_of_a_row, start, size)

        drawn = _halves(words, first // WORD, -(-width // WORD))
        bits = (drawn[:, :, None] >> np.arange(WORD, dtype=np.uint32)[None, None]) & np.uint32(1)
        return (2.0 * bits.astype(jnp.float32) - 1.0).reshape(len(rows), -1)[:, :width]


@dataclass(frozen=True)
class Table(Noise):
    """Rows are windows of one table of normals, at random places (Salimans 2017): no draws, but rows overlap."""

    columns: int
    size: int = 2**24
    draws_per_entry: float = 0.0

    def prepare(self, seed: int) -> Float[Array, " entry"]:
        """`jax.random.normal(key, (size + columns,))`, bit for bit, with the key of the seed's NOISE_TABLE."""
        key = rng.address(seed, rng.Purpose.NOISE_TABLE)
        entries = self.size + self.columns
        return jit(lambda: Normal(entries).block(None, key, jnp.zeros(1, jnp.int32), 0, entries)[0])()

    def block(
        self, kept: Kept, key: Key[Array, ""], rows: Int[Array, " row"], first: Index, width: int
    ) -> Float[Array, "row width"]:
        assert kept is not None
        starts = _bits(key, rows, 1, 0, 1)[:, 0] % np.uint32(self.size)

        def window(start: UInt32[Array, ""]) -> Float[Array, " width"]:
            return jax.lax.dynamic_slice(kept, (start.astype(jnp.int32) + first,), (width,))

        return jax.lax.map(window, starts)


NOISES: dict[str, Callable[[int], Noise]] = {"normal": Normal, "rademacher": Rademacher, "table": Table}


def _halves(draw: Callable[[Index, int], Array], first: Index, width: int) -> Shaped[Array, "row width"]:
    """`draw(first, width)`, half of it at a time: XLA vectorises such a loop for CPUs only where it fills a part of an array."""
    half = -(-width // 2)
    starts = jnp.asarray(first, jnp.int32) + half * jnp.arange(2, dtype=jnp.int32)
    parts = jax.lax.map(lambda start: draw(start, half), starts)
    return jnp.concatenate([parts[0], parts[1]], axis=1)[:, :width]


def _bits(
    key: Key[Array, ""], rows: Int[Array, " row"], columns: int, first: Index, width: int
) -> UInt32[Array, "row width"]:
    """Entries of `jax.random.bits(key, (many, columns), uint32)` in some rows and `width` columns from `first` on."""
    high, low = _product(rows.astype(jnp.uint32), np.uint32(columns))
    column = jnp.asarray(first, jnp.uint32) + jnp.arange(width, dtype=jnp.uint32)
    counter = low[:, None] + column[None]
    carry = (counter < low[:, None]).astype(jnp.uint32)
    one, two = threefry(jax.random.key_data(key), high[:, None] + carry, counter)
    return one ^ two


def _product(a: UInt32[Array, " row"], b: np.uint32) -> tuple[UInt32[Array, " row"], UInt32[Array, " row"]]:
    """High and low words of a * b, by halves of words, as JAX has no 64-bit integers here."""
    a_high, a_low, b_high, b_low = a >> HALF, a & LOW, b >> HALF, b & LOW
    cross = a_high * b_low + (a_low * b_low >> HALF)
    middle = (cross & LOW) + a_low * b_high
    return a_high * b_high + (cross >> HALF) + (middle >> HALF), a * b


def _normal(bits: UInt32[Array, "row width"]) -> Float[Array, "row width"]:
    """The map from bits to normals of `jax.random.normal`."""
    one = np.float32(1.0)
    lowest = np.nextafter(-one, np.float32(0.0))
    mantissa = (bits >> np.uint32(9)) | one.view(np.uint32)
    unit = jax.lax.bitcast_convert_type(mantissa, jnp.float32) - one
    uniform = jnp.maximum(lowest, unit * (one - lowest) + lowest)
    return np.float32(np.sqrt(2.0)) * jax.lax.erf_inv(uniform)
