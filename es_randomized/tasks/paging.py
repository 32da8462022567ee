"""Serve requests for pages with a cache of a few slots (Sleator and Tarjan 1985): which page is evicted when another comes in?

An instance is a sequence of requests, which an adversary picks who knows the policy but not its seed. The cache holds pages
0 .. slots-1 at first and the first request is the page after them, as what comes before the first fault costs nobody anything; no
page is requested twice in a row, as that never does either. Each request's token shows the page, the time and its own share of
the seed; attention reaches those before. The policy scores all pages, and at a fault that of the largest score among those in
the cache is evicted. The loss is the competitive ratio: the number of faults over the fewest possible ones.
"""

from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized.connectivity import Causal
from es_randomized.input_kinds import InputKinds
from es_randomized.policy import Interface, Policy
from es_randomized.references import paging
from es_randomized.settings import settings
from es_randomized.tasks.acting import Acts, act, answer_of, mixed, noise_of
from es_randomized.tasks.decisions import Decisions
from es_randomized.tasks.measure import Bounds, Measure
from es_randomized.tasks.task import Outcome, Reference, Task

LARGEST_ENUMERATED = 20_000  # sequences
KINDS = 128  # of inputs, at most
ABSENT = -1e9  # the score of pages that cannot be evicted; infinite ones have no entropy


class PagingCases(NamedTuple):
    """What is requested: the sequences, their fewest possible faults, and the tokens."""

    requests: Int[Array, "request case"]
    fewest: Int[Array, " case"]
    tokens: Float[Array, "feature request case"]


@settings
class Paging(Task):
    """Online paging against an oblivious adversary.

    Attributes:
        slots: of the cache (k).
        pages: there are, more than slots; null: one more, with which the adversary is strongest.
        requests: of a sequence, so many at least that the worst can happen to all slots.
        noise_width: standard normal numbers per request.
    """

    slots: Annotated[int, Field(ge=1, le=64)] = 3
    pages: Annotated[int, Field(ge=2, le=256)] | None = None
    requests: Annotated[int, Field(ge=1, le=4096)] = 9
    noise_width: Annotated[int, Field(ge=1)] = 4

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.pages is not None and self.pages <= self.slots:
            raise ValueError(f"pages is {self.pages}, but {self.slots} slots hold as many; use more than {self.slots}")
        if self.requests < (least := paging.fewest_requests(self.slots)):
            raise ValueError(
                f"requests is {self.requests}, too few for the worst that can happen to {self.slots} slots; use {least} or more"
            )

    @property
    def interface(self) -> Interface:
        features = self.noise_width + self.count + self.requests
        seed = range(self.noise_width)
        return Interface(features, self.count, nodes=self.requests, connectivity=Causal(), seed_features=seed)

    @property
    def count(self) -> int:
        """How many pages there are."""
        return self.pages or self.slots + 1

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(1.0, float(self.requests))

    @property
    def measure(self) -> Measure:
        return Measure("loss", "competitive ratio", self.loss_bounds)

    @property
    def kinds(self) -> InputKinds:
        """How a sequence begins, as far as there are few ways; the seed's numbers of all requests."""
        choices = self.count - 1
        length = next(n for n in range(self.requests) if n + 1 == self.requests or choices ** (n + 1) > KINDS)

        def of(sequences: Int[Array, "request instance"]) -> Int[Array, " instance"]:
            steps = (jnp.diff(sequences[: length + 1], axis=0) - 1) % self.count
            return jnp.sum(steps * choices ** jnp.arange(length)[:, None], axis=0)

        def numbers(seeds: Float[Array, "noise request seed"]) -> Float[Array, "number seed"]:
            return seeds.reshape(-1, seeds.shape[-1])

        return InputKinds(choices**length, of, numbers)

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "request {count}"]:
        """Uniform sequences."""
        return self._sequences(jax.random.randint(key, (self.requests - 1, count), 0, self.count - 1), jnp)

    def enumerate(self) -> Int[np.ndarray, "request instance"] | None:
        """All sequences where there are at most 20,000."""
        choices, steps = self.count - 1, self.requests - 1
        if choices**steps > LARGEST_ENUMERATED:
            return None
        digits = np.arange(choices**steps)[None] // choices ** np.arange(steps)[:, None] % choices
        return self._sequences(digits, np).astype(np.int32)

    def labels(self, bundles: Int[np.ndarray, "request bundle"]) -> dict[str, Int[np.ndarray, " instance"]]:
        """The fewest possible faults."""
        return {"fewest_faults": np.asarray(self._fewest(jnp.asarray(bundles)))}

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise request {count}"]:
        """Independent numbers for every request."""
        return jax.random.normal(key, (self.noise_width, self.requests, count))

    def observe(self, bundles: Int[Array, "request case"], seeds: Float[Array, "noise request case"]) -> PagingCases:
        """Tokens [seed, one-hot page, one-hot time], and what was requested."""
        page = jax.nn.one_hot(bundles, self.count, axis=0, dtype=seeds.dtype)
        time = jnp.broadcast_to(jnp.eye(self.requests, dtype=seeds.dtype)[..., None], (self.requests, *bundles.shape))
        return PagingCases(bundles, self._fewest(bundles), jnp.concatenate([seeds, page, time]))

    def rollout(self, policy: Policy, observations: PagingCases) -> Outcome:
        """Loss: the competitive ratio; success: as few faults as possible; answer: a hash of what was evicted."""
        return self._serve(policy, observations, None)[0]

    def sampled_rollout(
        self, policy: Policy, observations: PagingCases, key: Key[Array, ""]
    ) -> tuple[Outcome, Decisions]:
        """The same with pages sampled from the softmax of the scores of those in the cache, and all decisions."""
        outcome, faults, acts = self._serve(policy, observations, key)
        counted = faults.astype(jnp.float32)
        later = jnp.cumsum(counted[::-1], axis=0)[::-1] - counted
        to_come = later / observations.fewest.astype(jnp.float32)[None]
        return outcome, Decisions(acts.log_chance[:, None], faults[:, None], to_come[:, None], acts.entropy[:, None])

    def references(self) -> list[Reference]:
        """The best guarantees with and without randomness, and classical policies on all sequences where they can be listed."""
        best = float(paging.harmonic(self.slots))
        exact = self.count == self.slots + 1 and self.slots <= paging.LARGEST_PROVEN
        rows = [
            Reference(
                "exact minimax, H_k" if exact else "H_k, on long sequences",
                None,
                None,
                best,
                "exact" if exact else "paper",
            ),
            Reference("best deterministic worst case, k", None, None, float(self.slots), "algorithm"),
        ]
        sequences = self.enumerate()
        if sequences is None:
            return rows
        fewest, given = self.labels(sequences)["fewest_faults"], (jnp.asarray(sequences), self.slots, self.count)
        faults = {
            "marking": paging.marking_faults(sequences, self.slots),
            "LRU": np.asarray(paging.lru_faults(*given)),
            "FIFO": np.asarray(paging.fifo_faults(*given)),
        }
        return rows + [_row(name, count / fewest) for name, count in faults.items()]

    def _serve(self, policy: Policy, cases: PagingCases, key: Key[Array, ""] | None) -> tuple[Outcome, Array, Acts]:
        """The outcome, and which requests were faults and what was done at each, `[request, case]`."""
        scores = jnp.moveaxis(policy(cases.tokens), 1, 0)

        def evict(given: Any, cached: Array, came: Array) -> tuple[Array, tuple[Array, Acts]]:
            scores, noise = given
            page, acts = act(jnp.where(cached, scores, ABSENT), noise)
            return page, (page, acts)

        given = scores, noise_of(key, jnp.arange(self.requests), *scores.shape[1:])
        faults, (evicted, acts) = paging.served(cases.requests, self.slots, self.count, evict, given)
        made = jnp.sum(faults, axis=0, dtype=jnp.int32)

        def gone(path: Array, now: Any) -> tuple[Array, None]:
            fault, page = now
            return jnp.where(fault, mixed(path, page + 1), path), None

        path, _ = jax.lax.scan(gone, jnp.zeros(made.shape, jnp.uint32), (faults, evicted))
        loss = made.astype(jnp.float32) / cases.fewest.astype(jnp.float32)
        return Outcome(loss[None], (made == cases.fewest)[None], answer_of(path)[None]), faults, acts

    def _sequences(self, steps: Any, library: Any) -> Any:
        """Sequences `[request, case]` from how far each request is beyond the one before and the page after it, around all
        pages; with the arrays of NumPy or JAX."""
        return (self.slots + library.cumsum(library.pad(steps + 1, ((1, 0), (0, 0))), axis=0)) % self.count

    def _fewest(self, requests: Int[Array, "request case"]) -> Int[Array, " case"]:
        return paging.best_faults(requests, self.slots, self.count)


def _row(name: str, ratios: Float[np.ndarray, " instance"]) -> Reference:
    average, p95, worst = ratios.mean(), np.quantile(ratios, 0.95), ratios.max()
    return Reference(f"{name} on all sequences", float(average), float(p95), float(worst), "algorithm")
