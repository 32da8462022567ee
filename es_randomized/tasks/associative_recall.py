"""Remember values under keys in a memory too small for all of them, then answer one query (arXiv:2408.10818, section 3.2).

An instance is a *store* of n values of `bits` bits, one for each key 0 .. n-1, together with the key that is asked for. A
bundle is a store with all its n queries: a query does not change what was stored, so one pass over the store serves all
of them, exactly as n causal sequences that end in different queries would. Pairs come in the order of their keys.
"""

from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from pydantic import Field

from es_randomized.connectivity import Store
from es_randomized.input_kinds import InputKinds, kind_by_place
from es_randomized.policy import Interface, Policy
from es_randomized.references import recall
from es_randomized.settings import settings
from es_randomized.tasks.measure import Bounds
from es_randomized.tasks.task import Outcome, Reference, Task

POOLED = 5  # runs, as many as in the paper's small majority

Size = Annotated[int, Field(ge=1)]

Observations = tuple[Float[Array, "feature node case"], Float[Array, "bit key case"]]


@settings
class AssociativeRecall(Task):
    """Recall of `bits`-bit values by their keys.

    Attributes:
        n: pairs, at least 2.
        bits: of a value, at most 16.
        noise: distribution of the seed, the same on all tokens: fair bits (0 or 1), the same bits as signs (-1 or +1),
            uniform on [0, 1) or standard normal.
        noise_width: random numbers per seed.
        loss: the mean binary cross-entropy of the bits, in nats, or 1 for every answer with a wrong bit (error), which has no
            gradient.
    """

    n: Annotated[int, Field(ge=2)] = 20
    bits: Annotated[int, Field(ge=1, le=16)] = 5
    noise: Literal["bits", "signs", "uniform", "normal"] = "bits"
    noise_width: Size = 10
    loss: Literal["cross_entropy", "error"] = "cross_entropy"

    version: ClassVar[int] = 1
    chance: ClassVar[Literal["one_of", "bits"]] = "bits"

    @property
    def interface(self) -> Interface:
        features = self.bits + self.n + self.noise_width
        noise = range(self.bits + self.n, features)
        return Interface(features, self.bits, nodes=2 * self.n, connectivity=Store(stored=self.n), seed_features=noise)

    @property
    def bundle(self) -> int:
        return self.n

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(low=0.0) if self.loss == "cross_entropy" else Bounds(0.0, 1.0)

    @property
    def differentiable(self) -> bool:
        """Errors are counted, and counts have no gradient."""
        return self.loss == "cross_entropy"

    @property
    def kinds(self) -> InputKinds:
        """The key that is asked for; the seed's numbers around 0, bits as signs."""

        def numbers(seeds: Float[Array, "noise seed"]) -> Float[Array, "noise seed"]:
            return 2 * seeds - 1 if self.noise in ("bits", "uniform") else seeds

        return InputKinds(self.n, kind_by_place(self.n), numbers)

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "key {count}"]:
        """Values of independent stores, uniform."""
        return jax.random.randint(key, (self.n, count), 0, 2**self.bits)

    def enumerate(self) -> None:
        """There are too many stores to list."""

    def evaluation_sample(self, key: Key[Array, ""], count: int) -> Int[Array, "key {count}"]:
        """Random stores in groups of 2^bits, in each of which every key holds every value once."""
        values = 2**self.bits
        first = self.sample(key, -(-count // values))
        shifted = first[:, :, None] ^ jnp.arange(values)[None, None]
        return shifted.reshape(self.n, -1)[:, :count]

    def labels(self, bundles: Int[np.ndarray, "key bundle"]) -> dict[str, Int[np.ndarray, " instance"]]:
        """The position that is asked for, and the value there."""
        stores = np.asarray(bundles)
        return {"query": np.tile(np.arange(self.n), stores.shape[1]), "value": stores.T.reshape(-1)}

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise {count}"]:
        shape = (self.noise_width, count)
        if self.noise == "uniform":
            return jax.random.uniform(key, shape)
        if self.noise == "normal":
            return jax.random.normal(key, shape)
        bits = jax.random.bernoulli(key, 0.5, shape).astype(jnp.float32)
        return 2 * bits - 1 if self.noise == "signs" else bits

    def observe(self, bundles: Int[Array, "key case"], seeds: Float[Array, "noise case"]) -> Observations:
        """Tokens [value, one-hot key, seed], first of all pairs and then of all queries, whose value is 0; and the bits."""
        values = self._bits(bundles)
        keys = jnp.broadcast_to(jnp.eye(self.n)[:, :, None], (self.n, self.n, bundles.shape[-1]))
        noise = jnp.broadcast_to(seeds[:, None], (self.noise_width, self.n, seeds.shape[-1]))
        pairs = jnp.concatenate([values, keys, noise])
        queries = jnp.concatenate([jnp.zeros_like(values), keys, noise])
        return jnp.concatenate([pairs, queries], axis=1), values

    def rollout(self, policy: Policy, observations: Observations) -> Outcome:
        """Loss: binary cross-entropy in nats, mean over the bits, or the error; success: all bits are right."""
        tokens, bits = observations
        logits = policy(tokens)
        success = self.decide(logits, observations)
        answer = jnp.sum(jnp.where(logits > 0, self._powers, 0), axis=0)
        if self.loss == "error":
            return Outcome(1 - success.astype(logits.dtype), success, answer)
        return Outcome(jnp.mean(jax.nn.softplus(logits) - bits * logits, axis=0), success, answer)

    def log_chances(self, policy: Policy, observations: Observations) -> Float[Array, "bit key case"]:
        """Log-odds of every bit."""
        return policy(observations[0])

    def decide(self, log_chances: Float[Array, "bit key case"], observations: Observations) -> Bool[Array, "key case"]:
        """Whether the signs are all bits of the stored value."""
        return jnp.all((log_chances > 0) == (observations[1] > 0.5), axis=0)

    def references(self) -> list[Reference]:
        """What a memory of k whole pairs reaches, and the paper's figures; the optimum depends on the model's memory."""
        values = 2**self.bits
        everything = Reference("memory without limit", 1.0, 1.0, 1.0, "exact")
        sizes = (self.n // 4, self.n // 2)
        rows = [everything] + [
            _alike(f"a random {k} of the {self.n} pairs stored", recall.random_store(k, self.n, values)) for k in sizes
        ]
        rows += [
            _alike(f"{POOLED} such runs of {k} pairs pooled", recall.pooled_random_stores(POOLED, k, self.n, values))
            for k in sizes
        ]
        return rows + [row for row in PAPER if self.bits == 5 and row.name.endswith(f"N={self.n}")]

    def _bits(self, values: Int[Array, "key case"]) -> Float[Array, "bit key case"]:
        return (values[None] >> jnp.arange(self.bits)[:, None, None] & 1).astype(jnp.float32)

    @property
    def _powers(self) -> Int[Array, "bit 1 1"]:
        return 2 ** jnp.arange(self.bits)[:, None, None]


def _alike(name: str, success: float) -> Reference:
    return Reference(name, success, success, success, "exact")


PAPER = [
    Reference(f"paper, randomized, q = 100 (gradient), N={n}", average, p95, None, "paper")
    for n, average, p95 in ((12, 0.88, 0.69), (14, 0.66, 0.42), (16, 0.54, 0.29), (20, 0.395, 0.2))
] + [
    Reference(f"paper, its majority of 5, N={n}", None, p95, None, "paper")
    for n, p95 in ((12, 0.9), (14, 0.75), (16, 0.55), (20, 0.5))
]
