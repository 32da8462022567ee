"""A network that turns the seed into the weights of a deterministic policy (after Schug et al. 2023, arXiv:2312.15001).

θ(r) = θ₀ + Σ z_m(r) Θ_m: an explicit distribution over deterministic algorithms, as in Yao's principle. The policy itself never
sees the seed.
"""

import math
from dataclasses import replace
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from pydantic import Field

from es_randomized.errors import ConfigError
from es_randomized.models.blocks import draws_of, matrix
from es_randomized.models.layers.mixed import BlendedPolicy, ChosenPolicy, Seeded
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.models.units import Path, Units, inside
from es_randomized.perturbed import Perturbed
from es_randomized.policy import Interface, Policy, Weights
from es_randomized.precision import Precision, rounded
from es_randomized.settings import PartOfKind, settings

AtLeastTwo = Annotated[int, Field(ge=2)]
Size = Annotated[int, Field(ge=1)]


@settings
class Hypernetwork(Model):
    """Weights for every seed, around any other model. It has policies + 1 times the parameters.

    Attributes:
        policies: how many Θ there are.
        mixing: one_hot: every seed picks one of them, a learned mixture of so many policies, each of which is run on
            everything; soft: z is a softmax, and every case has weights of its own, which is slow.
        hidden: features of the network that makes z of the seed on a case's first token.
        base: the model that these weights are for, with a kind and settings as `model:` has them.
    """

    policies: AtLeastTwo = 3
    mixing: Literal["one_hot", "soft"] = "one_hot"
    hidden: Size = 8
    base: Annotated[Model, PartOfKind("model")] = Field(default_factory=Transformer)

    @property
    def precision(self) -> Precision:  # type: ignore[override]
        """Of the base."""
        return self.base.precision

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        """Every θ₀ + Θ_m is a fresh policy of the base."""
        seen = _without_seed(interface)
        for_base, *for_parts, for_mixing = jax.random.split(key, self.policies + 2)
        base = self.base.init(for_base, seen)
        fresh = [self.base.init(each, seen) for each in for_parts]
        parts = [jax.tree.map(jnp.subtract, each, base) for each in fresh]
        shapes = (self.hidden, len(interface.seed_features)), (self.policies, self.hidden)
        up, down = map(matrix, draws_of(for_mixing, 2, max(map(math.prod, shapes))), shapes)
        mixing = {"up": up, "up_bias": jnp.zeros(self.hidden), "down": down, "down_bias": jnp.zeros(self.policies)}
        return {"base": base, "parts": parts, "mixing": mixing}

    def policy(self, weights: Weights, interface: Interface) -> Policy:
        seen, mixing = _without_seed(interface), weights["mixing"]
        seeded = Seeded(rounded(mixing) if self.precision == "bfloat16" else mixing, interface.seed_features)
        if self.mixing == "soft":
            parts = weights["base"], weights["parts"]
            return BlendedPolicy(seeded, *parts, lambda blended: self.base.policy(blended, seen))
        policies = [self.base.policy(_sum(weights["base"], part), seen) for part in weights["parts"]]
        return ChosenPolicy(seeded, policies)

    def pure(self, weights: Weights) -> list[Weights]:
        if self.mixing == "soft":
            return []
        mixing, chosen = weights["mixing"], jnp.eye(self.policies)
        silent = mixing | {"down": jnp.zeros_like(mixing["down"])}
        return [weights | {"mixing": silent | {"down_bias": row}} for row in chosen]

    def flops(self, interface: Interface) -> int:
        """Of all policies, or of making the weights of a case; what the seed costs once is left out."""
        seen = _without_seed(interface)
        if self.mixing == "one_hot":
            return self.policies * self.base.flops(seen)
        entries = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.base.shapes(seen)))
        return self.base.flops(seen) + 2 * self.policies * entries // interface.nodes

    def bytes_per_case(self, interface: Interface) -> int:
        seen = _without_seed(interface)
        needed = max(self.base.bytes_per_case(seen), 4 * self.memory(interface))
        if self.mixing == "one_hot":
            return needed
        return needed + 4 * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.base.shapes(seen)))

    def interchangeable(self, interface: Interface) -> list[Units]:
        """Those of the base, which swap in all policies at once, and of the network that reads the seed."""
        places: list[Path] = [("base",), *(("parts", number) for number in range(self.policies))]
        found = [units.inside(*places) for units in self.base.interchangeable(_without_seed(interface))]
        axes = inside(("mixing",), {"up": (0,), "up_bias": (0,), "down": (1,)})
        return [*found, Units("hidden units of the seed's network", self.hidden, axes)]

    def dropout(self, weights: Weights, key: Key[Array, ""], rate: float) -> Weights:
        """The same units of all policies are dropped."""
        parts = [self.base.dropout(part, key, rate) for part in weights["parts"]]
        return weights | {"base": self.base.dropout(weights["base"], key, rate), "parts": parts}

    def check(self, interface: Interface) -> None:
        if not interface.seed_features:
            raise ConfigError(
                "a hypernetwork makes weights of the seed, and this task does not say which features of a token are the seed; "
                "give its interface seed_features"
            )
        self.base.check(_without_seed(interface))


def chances(model: Hypernetwork, weights: Weights, seeds: Float[Array, "noise seed"]) -> Float[Array, "policy seed"]:
    """z of every seed, as the first token of a case shows it."""
    return Seeded(weights["mixing"], range(len(seeds))).chances(seeds, hard=model.mixing == "one_hot")


def _without_seed(interface: Interface) -> Interface:
    return replace(interface, features=interface.features - len(interface.seed_features), seed_features=range(0))


def _sum(base: Weights, part: Weights) -> Weights:
    return jax.tree.map(lambda a, b: a + b, base, part, is_leaf=lambda leaf: isinstance(leaf, Perturbed))
