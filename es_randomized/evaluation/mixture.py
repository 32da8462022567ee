"""A policy whose seed chooses among a few deterministic ones is a mixed strategy: its chances, beside the best ones there are.

Against an adversary who picks the input, policies and inputs are a zero-sum game, and the best chances solve a small linear
programme (references/games.py).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import RepeatedRuns, frozen_seed
from es_randomized.fitness import unraveller
from es_randomized.references.games import solve
from es_randomized.tasks.measure import Measure
from es_randomized.tasks.task import Bundles, Outcome


class Mixture(NamedTuple):
    """A learned mixture of policies.

    Attributes:
        chances: of every policy, over the seeds of an evaluation, where equal policies count as the first of them; None where
            not all inputs meet the same policy under a seed.
        worst: the measure on the worst input under these chances; None where they are.
        best_chances: the best ones for the worst input.
        best_worst: the measure on the worst input under those, exactly.
    """

    chances: list[float] | None
    worst: float | None
    best_chances: list[float]
    best_worst: float


def mixture_of(
    experiment: Experiment, weights: Float[Array, " param"], bundles: Bundles, runs: Outcome
) -> Mixture | None:
    """The mixture that weights are, on all inputs; None where their seeds do not choose among a few policies.

    Args:
        runs: what came of the weights under fresh seeds, `[instance, run]`.
    """
    pure = experiment.model.pure(unraveller(experiment.model, experiment.task)(jnp.asarray(weights)))
    if not pure:
        return None
    stacked = jnp.stack([ravel_pytree(each)[0] for each in pure])
    repeated = RepeatedRuns(frozen_seed(experiment), stacked, None)
    alone = Outcomes(experiment.task, experiment.model)(repeated, bundles)
    return solved(experiment.task.measure, alone, runs)


def solved(measure: Measure, alone: Outcome, runs: Outcome) -> Mixture:
    """The mixture of policies by what came of each alone, `[instance, policy]`, and of runs that each were one of them."""
    losses = measure.as_loss(np.asarray(measure.values(alone), float))
    game = solve(np.unique(losses, axis=0).T)
    chosen = _chosen(measure, alone, runs)
    chances = None if chosen is None else np.bincount(chosen, minlength=losses.shape[1]) / len(chosen)
    return Mixture(
        None if chances is None else chances.tolist(),
        None if chances is None else measure.as_loss(float((losses @ chances).max())),
        game.mixture.tolist(),
        measure.as_loss(game.value),
    )


def _chosen(measure: Measure, alone: Outcome, runs: Outcome) -> Int[np.ndarray, " run"] | None:
    """The first policy that answers as a run does, equally well; None where some run has none."""
    values, answers = (measure.values(each) for each in (alone, runs)), (each.answer for each in (alone, runs))
    of_policies, of_runs = (
        np.stack([np.asarray(answer, float), np.asarray(value, float)])
        for answer, value in zip(answers, values, strict=True)
    )
    same = np.stack(
        [np.isclose(of_runs, policy[..., None]).all(axis=(0, 1)) for policy in np.moveaxis(of_policies, -1, 0)]
    )
    return np.argmax(same, axis=0) if same.any(axis=0).all() else None


def in_words(mixture: Mixture, measure: Measure) -> str:
    """Two sentences for people."""
    best = f"worst {measure.with_unit(mixture.best_worst)} with chances {_percent(mixture.best_chances)} (the game's exact value)"
    count = len(mixture.best_chances)
    if mixture.chances is None or mixture.worst is None:
        return f"A mixture of {count} policies; the best one of the same policies: {best}."
    return (
        f"A mixture of {count} policies: worst {measure.with_unit(mixture.worst)} with chances {_percent(mixture.chances)}; "
        f"the best one of the same policies: {best}."
    )


def _percent(chances: list[float]) -> str:
    return " / ".join(f"{100 * chance:.0f}" for chance in chances) + " %"
