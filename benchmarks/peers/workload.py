"""What all peers do: one experiment of es_randomized, its first weights, cases to compare models on, and the judge."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from benchmarks.peers.shared.protocol import Config
from es_randomized import Experiment, driver_of, load
from es_randomized.cases import by_instance, pair
from es_randomized.evaluation.evaluate import outcomes
from es_randomized.fitness import unraveller

CONFIG = Path(__file__).parents[2] / "configs" / "colouring" / "one_phase.yaml"
STD, LEARNING_RATE, Q, INSTANCES, SEEDS = 0.05, 0.02, 4.0, 64, 8
LEVEL = 0.735  # success of the cycle at the worst 5 %, the paper's figure for 10 vertices
JUDGED = 2_048  # cycles of the success curve
JUDGED_SEEDS = 200
ALL_SEEDS = 100  # of the confirmation on all 181,440 cycles


class Judgement(NamedTuple):
    """How good weights are on fresh seeds.

    Attributes:
        average, p95: success of the cycles: their average, and that of the cycle at the worst 5 %.
    """

    average: float
    p95: float


def experiment(config: Config) -> Experiment:
    """The experiment of a peer's configuration."""
    return load(
        CONFIG,
        {
            "model.width": 16,
            "model.blocks": 2,
            "model.key": 16,
            "model.hidden": 64,
            "model.activation": "gelu",
            "objective": {"kind": "q_norm", "q": config.q},
            "batch": {"instances": config.instances, "seeds": config.seeds},
            "driver.kind": "Open_ES",
            "driver.population": config.population,
            "driver.std": config.std,
            "driver.optimizer": {"kind": "adam", "learning_rate": config.learning_rate},
            "budget": {"generations": config.generations},
            "evaluation": {"seeds": JUDGED_SEEDS, "votes": []},
            "seed": config.seed,
        },
    )


def configured(variant: str, population: int, generations: int, seconds: float, seed: int, folder: Path) -> Config:
    """A peer's configuration, with the files it reads and writes in `folder`."""
    return Config(
        variant=variant,
        population=population,
        generations=generations,
        seconds=seconds,
        std=STD,
        learning_rate=LEARNING_RATE,
        q=Q,
        instances=INSTANCES,
        seeds=SEEDS,
        seed=seed,
        given=str(folder / "given.npz"),
        found=str(folder / "found.npz"),
    )


def write_given(config: Config) -> Float[np.ndarray, "instance seed"]:
    """Write what a peer is given; returns the losses it must find for it."""
    bound, generator = experiment(config), np.random.default_rng(config.seed)
    driver = driver_of(bound)
    centre = np.asarray(driver.centre(driver.init()))
    weights = (centre + 0.2 * generator.standard_normal(len(centre))).astype(np.float32)  # biases start at 0
    cycles = np.stack([generator.permutation(bound.task.interface.nodes) for _ in range(config.instances)])
    noise = generator.random((config.seeds, bound.task.interface.nodes), np.float32)
    np.savez(config.given, centre=centre, weights=weights, cycles=cycles, noise=noise)
    return rollout_losses(bound, jnp.asarray(weights), cycles, noise)


def rollout_losses(
    bound: Experiment,
    weights: Float[Array, " param"],
    cycles: Int[np.ndarray, "instance position"],
    noise: Float[np.ndarray, "seed vertex"],
) -> Float[np.ndarray, "instance seed"]:
    """es_randomized's losses of one member."""

    @jax.jit
    def losses(weights: Array, bundles: Array, seeds: Array) -> Array:
        policy = bound.model.policy(unraveller(bound.model, bound.task)(weights), bound.task.interface)
        cases = bound.task.observe(*pair(bundles, seeds))
        return by_instance(bound.task.rollout(policy, cases).loss[None], len(noise))

    return np.asarray(losses(weights, jnp.asarray(cycles.T), jnp.asarray(noise.T[None])))


def judge(config: Config, weights: Float[np.ndarray, " param"], everything: bool = False) -> Judgement:
    """Success on a fixed sample of cycles, or on all of them, with seeds no training saw."""
    bound = experiment(config)
    if everything:
        bound = replace(bound, evaluation=replace(bound.evaluation, seeds=ALL_SEEDS))
    outcome, _ = outcomes(bound, _cycles(bound, everything), jnp.asarray(weights), randomness="seed")
    success = np.asarray(outcome.success).mean(axis=1)
    return Judgement(float(success.mean()), float(np.quantile(success, 0.05)))


def _cycles(bound: Experiment, everything: bool) -> Int[np.ndarray, "position instance"]:
    cycles = _enumerated(bound.task)
    if everything:
        return cycles
    return cycles[:, np.random.default_rng(0).choice(cycles.shape[1], JUDGED, replace=False)]


@cache
def _enumerated(task: Any) -> Int[np.ndarray, "position instance"]:
    return task.enumerate()
