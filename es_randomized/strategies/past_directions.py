"""ES with past descent directions: the last gradient estimate is one of the directions tried (arXiv:1910.05268).

With P antithetic pairs, the directions are orthonormal, the first being the normalised estimate p of the generation before:
ĝ = Σ h_i q_i, h_i = [f(θ + s q_i) − f(θ − s q_i)] / 2s, s = std √d. ĝ is the projection of the gradient on their span, so
what p already knew is kept and P − 1 directions look for more; there is no mixing weight to tune. It pays where the noise
of h is small beside ‖∇f‖² / (d − 1); both members of a pair meet the same instances and seeds, as everywhere here.

Where the noise is larger, `driver.past: noise_aware` weighs old and new: ĝ = Σ [e_i + k_i (h_i − e_i)] q_i, where e_i is the
slope expected, ‖ĝ‖ of the generation before along p and 0 along the others, and the gains k_i are those of gains.py.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.errors import ConfigError
from es_randomized.schedules import build
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.kalman import kalman_estimate, no_moments
from es_randomized.strategies.placement import explained
from es_randomized.strategies.strategy import Ask, Member, PartsOf, State, Strategy


class PastDirections(Strategy):
    """Directions as a matrix [row, param]; losses are used as they are, because ranks would bend the projection.

    Raises:
        ConfigError: losses are to be shaped, there are more pairs than parameters, or too few to tell noise.
    """

    antithetic = True

    def __init__(self, settings: EvolutionSettings, parameters: int, seed: int, generations: int) -> None:
        if settings.shaping not in ("default", "identity"):
            raise ConfigError(f"driver.shaping: {settings.kind} projects the gradient, so losses must stay as they are")
        if settings.population > 2 * parameters:
            raise ConfigError(
                f"driver.population: {settings.kind} has orthogonal directions, at most one pair per parameter: "
                f"{2 * parameters} members, not {settings.population}"
            )
        self.split_batch = settings.past == "noise_aware"
        if self.split_batch and settings.population < 4:
            raise ConfigError(
                "driver.past: noise_aware needs new directions beside the past one; set driver.population: 4"
            )
        self.population, self.parameters, self.seed = settings.population, parameters, seed
        self.optimizer = settings.optimizer.build(generations)
        self.std = build(settings.std, generations)
        self._proposal, self._update = jit(self._propose), jit(self._update_raw)
        self._update_split = jit(self._update_split_raw)

    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        state = {"mean": centre, "optimizer": self.optimizer.init(centre), "past": jnp.zeros_like(centre)}
        return state | ({"moments": no_moments()} if self.split_batch else {})

    def ask(self, state: State, generation: int) -> Ask:
        return Ask(generation, state, self._proposal(state["mean"], state["past"], np.uint32(generation)))

    def message(self, ask: Ask) -> list[np.ndarray]:
        return [np.asarray(ask.state["mean"]), np.asarray(ask.state["past"])]

    def receive(self, message: list[np.ndarray], generation: int) -> Any:
        return self._proposal(*message, np.uint32(generation))

    def row(self, proposal: Any, index: Int[Array, ""]) -> Float[Array, " param"]:
        return proposal["reach"] * proposal["directions"][index]

    def member(self, proposal: Any, row: Any, sign: Float[Array, ""]) -> Member:
        return proposal["mean"] + sign * row

    def tell(self, ask: Ask, losses: Float[np.ndarray, " loss"], parts_of: PartsOf | None = None) -> State:
        if self.split_batch:
            return self._update_split(ask.state, ask.proposal, losses, np.uint32(ask.generation))
        return self._update(ask.state, ask.proposal, losses)

    def centre(self, state: State) -> Float[Array, " param"]:
        return jnp.asarray(state["mean"])

    def proposal_shape(self) -> Any:
        entries = jax.ShapeDtypeStruct((self.parameters,), np.float32)
        return jax.eval_shape(self._propose, entries, entries, np.uint32(0))

    def describe(self) -> dict[str, str]:
        numbers = self.rows * self.parameters
        weights = (
            {"past direction": "weighed by its noise, from two halves of every evaluation"} if self.split_batch else {}
        )
        return weights | {
            "directions": f"{self.rows:,} orthonormal ones, {4 * numbers / 2**20:,.1f} MiB in every process",
            "update": explained(self.parts),
        }

    def _propose(self, mean: Any, past: Any, generation: Any) -> dict[str, Array]:
        key = rng.address(self.seed, rng.Purpose.NOISE, generation)
        noise = jax.random.normal(key, (self.rows, self.parameters))
        first = jnp.where(jnp.any(past != 0), past, noise[0])
        directions, _ = jnp.linalg.qr(noise.at[0].set(first).T)  # signs are arbitrary: pairs look both ways
        reach = jnp.asarray(self.std(generation.astype(jnp.float32)), jnp.float32) * np.float32(self.parameters**0.5)
        return {"mean": mean, "directions": directions.T, "reach": reach}

    def _update_raw(self, state: State, proposal: Any, losses: Float[Array, " member"]) -> State:
        plus, minus = losses[: self.rows], losses[self.rows :]
        estimate = ((plus - minus) / (2 * proposal["reach"])) @ proposal["directions"]
        length = jnp.linalg.norm(estimate)
        past = jnp.where(length > 0, estimate / jnp.where(length > 0, length, 1.0), state["past"])
        return self._stepped(state, estimate) | {"past": past}

    def _update_split_raw(self, state: State, proposal: Any, losses: Float[Array, " loss"], generation: Any) -> State:
        """Here `past` keeps its length: the slope that is kalman_estimate along it."""
        plus, minus = jnp.moveaxis(losses.reshape(-1, 2, self.rows), 1, 0)
        slopes = (plus - minus) / (2 * proposal["reach"])
        expected = proposal["directions"][0] @ state["past"]
        coefficients, moments = kalman_estimate(slopes, expected, state["moments"], generation)
        estimate = coefficients @ proposal["directions"]
        return self._stepped(state, estimate) | {"past": estimate, "moments": moments}

    def _stepped(self, state: State, estimate: Float[Array, " param"]) -> State:
        step, optimizer = self.optimizer.update(estimate, state["optimizer"], state["mean"])
        return {"mean": optax.apply_updates(state["mean"], step), "optimizer": optimizer}
