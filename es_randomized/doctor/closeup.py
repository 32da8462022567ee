"""A close look at one centre: members around it, on several batches and at two distances."""

from itertools import combinations
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from es_randomized.compilation import jit
from es_randomized.doctor.probe import Probe
from es_randomized.doctor.spread import correlation, pair_correlation
from es_randomized.strategies.strategy import State, Strategy

PAIRS = 48  # of members; a correlation of them is known to about 0.15
BATCHES = 5
NEAR = 0.25  # of the distance at which the strategy puts its members


class Closeup(NamedTuple):
    """What pairs of members c + s and c - s around the centre c tell.

    Attributes:
        generation: the centre is the one before it.
        centre: loss of the centre.
        members: mean loss of the members.
        spread: standard deviation of the members' losses.
        distance: of a member from the centre, root mean square over the weights.
        batches: correlation, over pairs, of the difference in loss between the two members on one batch and on another; None
            where there is none.
        pairs: correlation of the losses of the two members: -1 where losses are linear in the weights.
        scales: the same as `batches` between members and members a quarter as far away, on one batch: 1 where losses are linear.
    """

    generation: int
    centre: float
    members: float
    spread: float
    distance: float
    batches: float | None
    pairs: float | None
    scales: float | None

    @property
    def gap(self) -> float:
        """How much worse members are than the centre, in units of their spread."""
        return (self.members - self.centre) / self.spread if self.spread else 0.0


class Closeups:
    """Looks at centres of a run.

    Args:
        probe: as the run is trained.
    """

    def __init__(self, strategy: Strategy, probe: Probe) -> None:
        self._strategy, self._probe = strategy, probe
        self._first_members = jit(lambda proposal: strategy.members(proposal, jnp.arange(self._rows))[:, 0])

    @property
    def _rows(self) -> int:
        return min(self._strategy.rows, PAIRS)

    def __call__(self, state: State, generation: int) -> Closeup:
        """Look at the centre of a state, on batches that training never drew."""
        centre = np.asarray(self._strategy.centre(state))
        steps, fresh = self.displacements(state, generation), self._probe.fresh
        far, near = around(centre, steps), around(centre, NEAR * steps)
        here = self._probe.objective(np.concatenate([far, near, centre[None]]), fresh(0), generation)
        losses, nearer, of_centre = here[: len(far)], here[len(far) : -1], here[-1]
        others = [self._probe.objective(far, fresh(batch), generation) for batch in range(1, BATCHES)]
        return Closeup(
            generation=generation,
            centre=float(of_centre),
            members=float(losses.mean()),
            spread=float(losses.std()),
            distance=float(np.sqrt(np.mean(steps**2))),
            batches=mean_correlation([differences(each) for each in (losses, *others)]),
            pairs=pair_correlation(losses),
            scales=correlation(differences(losses), differences(nearer)),
        )

    def displacements(self, state: State, generation: int) -> Float[np.ndarray, "pair param"]:
        """Where members of this and the next generations would be if the centre stayed, seen from there."""
        centre, found = np.asarray(self._strategy.centre(state)), []
        for ahead in range(-(-PAIRS // self._rows)):
            proposal = self._strategy.ask(state, generation + ahead).proposal
            found.append(np.asarray(self._first_members(proposal)) - centre)
        return np.concatenate(found)[:PAIRS]


def around(
    centre: Float[np.ndarray, " param"], steps: Float[np.ndarray, "pair param"]
) -> Float[np.ndarray, "member param"]:
    """Pairs of members: to one side of the centre, then to the other."""
    return np.concatenate([centre + steps, centre - steps])


def differences(losses: Float[np.ndarray, " member"]) -> Float[np.ndarray, " pair"]:
    """Between the two members of every pair."""
    first, second = losses.reshape(2, -1)
    return np.asarray(first - second)


def mean_correlation(series: list[Float[np.ndarray, " value"]]) -> float | None:
    """Over all pairs of series that vary; None where there are none."""
    all_pairs = [correlation(*pair) for pair in combinations(series, 2)]
    found = [value for value in all_pairs if value is not None]
    return float(np.mean(found)) if found else None
