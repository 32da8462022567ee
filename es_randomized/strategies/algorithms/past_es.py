"""ES with past descent directions: the last gradient estimate is one of the directions tried (arXiv:1910.05268).

A generation tries P orthonormal directions q, each by an antithetic pair of members θ ± s q with s = std √d. The slope along
q is h = [f(θ + s q) − f(θ − s q)] / 2s, and the gradient estimate is ĝ = Σ h q: the projection of the gradient on the span
of the directions. The first direction is that of the estimate before, so what it knew is kept; the other P − 1 are random
and add to it. There is no mixing weight to tune. This pays where the noise of h is small beside ‖∇f‖² / (d − 1).

Where the noise is larger, `driver.past: noise_aware` weighs what was known against what is measured: see kalman.py.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, UInt32

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.errors import ConfigError
from es_randomized.settings import settings
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.kalman import kalman_estimate, no_moments
from es_randomized.strategies.placement import explained
from es_randomized.strategies.strategy import Ask, Member, PartsOf, Proposal, RowNoise, SearchSpace, State, Strategy

Entries = Float[Array, " param"]


class Past_ES(Strategy):  # noqa: N801, its kind
    """Orthogonal pairs, one along the last gradient estimate (Meier 2019).

    Directions are a matrix [row, param]. Losses are used as they are, because ranks would bend the projection.

    Raises:
        ConfigError: there are more pairs than parameters.
    """

    antithetic = True
    holds_matrix = True

    @settings
    class Settings(EvolutionSettings):
        """Past descent directions.

        Attributes:
            past: how the last gradient estimate enters the next one: projection, with the weight that its slope has;
                noise_aware, with weights learned from how far the two halves of a split batch agree, for noisy losses.
        """

        kind: str = "Past_ES"
        past: Literal["projection", "noise_aware"] = "projection"

        def __post_init__(self) -> None:
            if self.past == "noise_aware" and self.population < 4:
                raise ValueError("past: noise_aware needs new directions beside the past one; set population: 4")

    def __init__(self, settings: Settings, space: SearchSpace) -> None:
        super().__init__(settings, space)
        if self.population > 2 * self.parameters:
            raise ConfigError(
                f"driver.population: {settings.kind} has orthogonal directions, at most one pair per parameter: "
                f"{2 * self.parameters} members, not {self.population}"
            )
        self.split_batch = settings.past == "noise_aware"
        self.optimizer = settings.optimizer.build(space.generations)
        self.std = space.scheduled(settings.std)
        self._propose, self._project = jit(self._proposal), jit(self._projected)
        self._estimate = jit(self._estimated)

    def init(self, key: Key[Array, ""], centre: Entries) -> State:
        state = {"mean": centre, "optimizer": self.optimizer.init(centre), "past": jnp.zeros_like(centre)}
        return state | ({"moments": no_moments()} if self.split_batch else {})

    def ask(self, state: State, generation: int) -> Ask:
        return Ask(generation, state, self._propose(state["mean"], state["past"], np.uint32(generation)))

    def message(self, ask: Ask) -> list[np.ndarray]:
        return [np.asarray(ask.state["mean"]), np.asarray(ask.state["past"])]

    def receive(self, message: list[np.ndarray], generation: int) -> Proposal:
        return self._propose(*message, np.uint32(generation))

    def row(self, proposal: Proposal, index: Int[Array, ""]) -> Entries:
        return proposal["reach"] * proposal["directions"][index]

    def member(self, proposal: Proposal, row: RowNoise, sign: Float[Array, ""]) -> Member:
        return proposal["mean"] + sign * row

    def tell(self, ask: Ask, losses: Float[np.ndarray, "*view member"], parts_of: PartsOf | None = None) -> State:
        if self.split_batch:
            return self._estimate(ask.state, ask.proposal, losses, np.uint32(ask.generation))
        return self._project(ask.state, ask.proposal, losses)

    def centre(self, state: State) -> Entries:
        return jnp.asarray(state["mean"])

    def proposal_shape(self) -> Proposal:
        entries = jax.ShapeDtypeStruct((self.parameters,), np.float32)
        return jax.eval_shape(self._proposal, entries, entries, np.uint32(0))

    def describe(self) -> dict[str, str]:
        numbers = self.rows * self.parameters
        weighed = (
            {"past direction": "weighed by its noise, from both halves of every batch"} if self.split_batch else {}
        )
        return weighed | {
            "directions": f"{self.rows:,} orthonormal ones, {4 * numbers / 2**20:,.1f} MiB in every process",
            "update": explained(self.parts),
        }

    def _proposal(self, mean: Entries, past: Entries, generation: UInt32[Array, ""]) -> dict[str, Array]:
        key = rng.address(self.seed, rng.Purpose.NOISE, generation)
        noise = jax.random.normal(key, (self.rows, self.parameters))
        first = jnp.where(jnp.any(past != 0), past, noise[0])
        directions, _ = jnp.linalg.qr(noise.at[0].set(first).T)  # signs are arbitrary: pairs look both ways
        reach = jnp.asarray(self.std(generation.astype(jnp.float32)), jnp.float32) * np.float32(self.parameters**0.5)
        return {"mean": mean, "directions": directions.T, "reach": reach}

    def _projected(self, state: State, proposal: Proposal, losses: Float[Array, " member"]) -> State:
        """The state after a generation, by projection; `past` has length 1."""
        plus, minus = losses[: self.rows], losses[self.rows :]
        estimate = ((plus - minus) / (2 * proposal["reach"])) @ proposal["directions"]
        length = jnp.linalg.norm(estimate)
        past = jnp.where(length > 0, estimate / jnp.where(length > 0, length, 1.0), state["past"])
        return self._stepped(state, estimate) | {"past": past}

    def _estimated(
        self, state: State, proposal: Proposal, losses: Float[Array, "view member"], generation: UInt32[Array, ""]
    ) -> State:
        """The same, noise-aware; `past` is the estimate itself, because its length is the slope expected along it."""
        slopes = (losses[:, : self.rows] - losses[:, self.rows :]) / (2 * proposal["reach"])
        generation = generation - np.uint32(self.space.first)  # of the phase: moving averages begin with it
        expected = proposal["directions"][0] @ state["past"]
        coefficients, moments = kalman_estimate(slopes, expected, state["moments"], generation)
        estimate = coefficients @ proposal["directions"]
        return self._stepped(state, estimate) | {"past": estimate, "moments": moments}

    def _stepped(self, state: State, estimate: Entries) -> dict[str, State]:
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies a schedule by its integer count
            step, optimizer = self.optimizer.update(estimate, state["optimizer"], state["mean"])
        return {"mean": optax.apply_updates(state["mean"], step), "optimizer": optimizer}
