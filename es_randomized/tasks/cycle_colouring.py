"""Colour the nodes of a cycle so that no two neighbours agree (arXiv:2408.10818, section 3.3).

An instance is a cycle through the vertices 0 .. n-1, given as the vertices in cyclic order, [position, instance]; there
are (n-1)!/2 different ones. Each vertex sees its one-hot identifier and its own share of the seed; attention reaches only
its two neighbours.
"""

import itertools
import math
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from pydantic import Field

from es_randomized.connectivity import Ring
from es_randomized.policy import Interface, Policy
from es_randomized.references import colouring
from es_randomized.settings import settings
from es_randomized.tasks.colourings import number_of
from es_randomized.tasks.measure import Bounds
from es_randomized.tasks.task import Outcome, Reference, Task

LARGEST_ENUMERATED = 10  # 181,440 cycles; the next size has ten times as many

Observations = tuple[Float[Array, "feature position case"], Int[Array, "position case"]]


@settings
class CycleColouring(Task):
    """Proper colouring of a cycle of `n` vertices with `colours` colours.

    Attributes:
        n: vertices, at least 3.
        colours: colours, at least 2. An odd cycle has no proper 2-colouring, so that pair is refused.
        noise: distribution of the seed: uniform on [0, 1), standard normal, or fair bits.
        noise_width: random numbers per vertex.
        identifiers: whether tokens hold the one-hot vertex; without them the vertices are anonymous.
    """

    n: Annotated[int, Field(ge=3)] = 10
    colours: Annotated[int, Field(ge=2)] = 3
    noise: Literal["uniform", "normal", "bits"] = "uniform"
    noise_width: Annotated[int, Field(ge=1)] = 1
    identifiers: bool = True

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.colours == 2 and self.n % 2:
            raise ValueError(
                f"a cycle of n={self.n} vertices has no proper 2-colouring because n is odd; "
                "use an even n or colours: 3"
            )

    @property
    def interface(self) -> Interface:
        features = (self.n if self.identifiers else 0) + self.noise_width
        noise = range(features - self.noise_width, features)
        return Interface(features, self.colours, nodes=self.n, connectivity=Ring(), seed_features=noise)

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(0.0, float(self.n))

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "position {count}"]:
        """Uniform random cycles: a uniform permutation covers every cycle 2n times."""
        return jnp.argsort(jax.random.uniform(key, (self.n, count)), axis=0)

    def enumerate(self) -> Int[np.ndarray, "position instance"] | None:
        """All (n-1)!/2 cycles for n <= 10: vertex 0 first, and the smaller of its neighbours second."""
        if self.n > LARGEST_ENUMERATED:
            return None
        count = math.factorial(self.n - 1)
        rest = itertools.chain.from_iterable(itertools.permutations(range(1, self.n)))
        orders = np.fromiter(rest, np.int32, count * (self.n - 1)).reshape(count, self.n - 1)
        orders = orders[orders[:, 0] < orders[:, -1]]
        return np.concatenate([np.zeros((1, len(orders)), np.int32), orders.T])

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise vertex {count}"]:
        """Independent noise for every vertex; a vertex keeps its share in whichever cycle it stands."""
        shape = (self.noise_width, self.n, count)
        if self.noise == "uniform":
            return jax.random.uniform(key, shape)
        if self.noise == "normal":
            return jax.random.normal(key, shape)
        return jax.random.bernoulli(key, 0.5, shape).astype(jnp.float32)

    def observe(self, instances: Int[Array, "position case"], seeds: Float[Array, "noise vertex case"]) -> Observations:
        """Tokens in cyclic order, and the vertices they belong to."""
        noise = jnp.take_along_axis(seeds, instances[None], axis=1)
        if not self.identifiers:
            return noise, instances
        one_hot = jax.nn.one_hot(instances, self.n, axis=0)
        return jnp.concatenate([one_hot, noise]), instances

    def rollout(self, policy: Policy, observations: Observations) -> Outcome:
        """Loss: sum over edges of the probability that both ends agree, at least P(some edge is monochromatic)."""
        tokens, vertices = observations
        logits = policy(tokens)
        chances = jax.nn.softmax(logits, axis=0)
        loss = jnp.sum(chances * jnp.roll(chances, -1, axis=1), axis=(0, 1))
        success, answer = self.judge(jnp.argmax(logits, axis=0), vertices)
        return Outcome(loss[None], success[None], answer[None])

    def log_chances(self, policy: Policy, observations: Observations) -> Float[Array, "colour position case"]:
        """Log-probabilities of every vertex's colours."""
        return jax.nn.log_softmax(policy(observations[0]), axis=0)

    def decide(
        self, log_chances: Float[Array, "colour position case"], observations: Observations
    ) -> Bool[Array, "1 case"]:
        """Whether the likeliest colours are a proper colouring."""
        return self.judge(jnp.argmax(log_chances, axis=0), observations[1])[0][None]

    def judge(
        self, colours: Int[Array, "position case"], vertices: Int[Array, "position case"]
    ) -> tuple[Bool[Array, " case"], Int[Array, " case"]]:
        """Whether no edge is monochromatic, and the colouring as one number, the same for every order of the vertices."""
        proper = jnp.all(colours != jnp.roll(colours, -1, axis=0), axis=0)
        return proper, number_of(colours, vertices, self.colours)

    def references(self) -> list[Reference]:
        """The optimum is 1 wherever a proof of it is at hand; classical algorithms treat all cycles alike."""
        rows = []
        if self.colours == 3 and self.identifiers and self.n <= colouring.MAX_IDENTIFIER:
            rows.append(_alike("exact optimum (two rounds, identifiers)", 1.0, "exact"))
        rows.append(_alike("one-shot random colours", colouring.one_shot(self.n, self.colours)))
        if self.colours == 3 and self.n <= 12:
            rows += [
                _alike(f"trial colouring, {rounds} rounds", colouring.trial_colouring(self.n, rounds))
                for rounds in (2, 4)
            ]
        if (self.n, self.colours) == (10, 3):
            rows.append(Reference("paper, randomized, q = 3 (gradient)", 0.96, 0.735, None, "paper"))
            rows.append(Reference("paper, its majority vote", None, 1.0, None, "paper"))
        return rows


def _alike(name: str, success: float, kind: Literal["exact", "algorithm"] = "algorithm") -> Reference:
    return Reference(name, success, success, success, kind)
