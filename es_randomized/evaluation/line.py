"""The loss on the straight line between the weights of two runs, before and after their units are matched.

Networks that are trained from other random weights may compute the same with their units in other places. Permuting units
changes no output; B's are put where its weights come nearest to A's, by the Hungarian algorithm for one kind of units after
the other (Ainsworth et al. 2022, arXiv:2209.04836). Benzing et al. 2022 (arXiv:2209.07509) compare activations instead, which
two policies have in common only where inputs do not depend on what they do.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.fitness import unraveller
from es_randomized.models.units import Path, Units
from es_randomized.policy import Weights

POINTS = 11
SWEEPS = 50  # over all kinds of units, at most

Leaves = dict[Path, Float[np.ndarray, "..."]]


@dataclass(frozen=True)
class Line:
    """Losses along a line.

    Attributes:
        before: mean loss on held-out draws at evenly spaced points from A to B, in task units.
        after: the same to B with its units matched to A's; None where the model does not say which units may swap.
    """

    before: Float[np.ndarray, " point"]
    after: Float[np.ndarray, " point"] | None


def line_between(experiment: Experiment, a: Float[Array, " param"], b: Float[Array, " param"]) -> Line:
    """Between flat weights of two runs of one model, on held-out draws of the experiment."""
    losses = _Losses(experiment)
    units = experiment.model.interchangeable(experiment.task.interface)
    if not units:
        return Line(losses.along(a, b), None)
    whole = unraveller(experiment.model, experiment.task)
    near = ravel_pytree(matched(whole(a), whole(b), units))[0]
    return Line(losses.along(a, b), losses.along(a, near))


def barrier(losses: Float[np.ndarray, " point"]) -> float:
    """How far the loss rises above the straight line between its ends, at most; without the rounding of float32."""
    return round(float((losses - np.linspace(losses[0], losses[-1], len(losses))).max()), 5)


class _Losses:
    """Mean losses of weights on the same draws, by one compiled program."""

    def __init__(self, experiment: Experiment) -> None:
        self.held_out = HeldOut(experiment)

    def along(self, a: Float[Array, " param"], b: Float[Array, " param"]) -> Float[np.ndarray, " point"]:
        shares = np.linspace(0.0, 1.0, POINTS, dtype=np.float32)
        return np.array([self.of((1 - share) * a + share * b) for share in shares])

    def of(self, weights: Float[Array, " param"]) -> float:
        runs = RepeatedRuns(self.held_out.seeds, jnp.asarray(weights)[None], None)
        return float(np.mean(self.held_out.outcomes(runs, self.held_out.bundles).loss, dtype=float))


def matched(a: Weights, b: Weights, units: list[Units]) -> Weights:
    """B with its units where they are nearest to A's.

    What is made large is the sum of all products of weights in the same places. A kind of units is placed for given places of
    all others, and that is repeated until nothing grows any more: from where units are, and from where each kind is best by
    the weights alone that it shares with no kind that is still to be placed. The better end is returned.
    """
    first, second = _leaves(a), _leaves(b)
    anchored = second
    for number, kind in enumerate(units):
        later = {path for other in units[number + 1 :] for path in other.axes}
        alone = [path for path, axes in kind.axes.items() if path not in later and len(axes) == 1]
        anchored = permuted(anchored, kind, _assignment(first, anchored, kind, alone))
    best = max((_climbed(first, start, units) for start in (second, anchored)), key=lambda b: _agreement(first, b))
    leaves = [leaf.astype(np.float32) for leaf in best.values()]
    return jax.tree.unflatten(jax.tree.structure(b), leaves)


def _climbed(a: Leaves, b: Leaves, units: list[Units]) -> Leaves:
    """B after one kind of units after the other was placed, as long as that brings it nearer to A."""
    best = _agreement(a, b)
    for _ in range(SWEEPS):
        before = best
        for kind in units:
            moved = permuted(b, kind, _assignment(a, b, kind, list(kind.axes)))
            if (found := _agreement(a, moved)) > best + 1e-9 * abs(best):
                best, b = found, moved
        if best == before:
            break
    return b


def permuted(leaves: Leaves, units: Units, order: Int[np.ndarray, " unit"]) -> Leaves:
    """Leaves with units in another order: place i gets unit order[i]."""
    moved = dict(leaves)
    for path, axes in units.axes.items():
        for axis in axes:
            size = leaves[path].shape[axis] // units.count
            rows = (order[:, None] * size + np.arange(size)).reshape(-1)
            moved[path] = np.take(moved[path], rows, axis=axis)
    return moved


def _assignment(a: Leaves, b: Leaves, units: Units, paths: list[Path]) -> Int[np.ndarray, " unit"]:
    """For every place the unit of b that agrees best with what a has there, in some leaves; each is used once."""
    from scipy.optimize import linear_sum_assignment

    agreement = np.zeros((units.count, units.count))
    for path in paths:
        for axis in units.axes[path]:
            rows, columns = (np.moveaxis(leaves[path], axis, 0).reshape(units.count, -1) for leaves in (a, b))
            agreement += rows @ columns.T
    return np.asarray(linear_sum_assignment(agreement, maximize=True)[1])


def _agreement(a: Leaves, b: Leaves) -> float:
    return float(sum(np.vdot(a[path], b[path]) for path in a))


def _leaves(weights: Weights) -> Leaves:
    """Leaves in double precision by the keys and places that lead to them, in their flat order."""
    found = jax.tree_util.tree_leaves_with_path(weights)
    return {tuple(_place(step) for step in path): np.asarray(leaf, float) for path, leaf in found}


def _place(step: object) -> str | int:
    match step:
        case jax.tree_util.DictKey(key) | jax.tree_util.FlattenedIndexKey(key):
            return key
        case jax.tree_util.SequenceKey(index):
            return index
    return str(step)
