"""Pooled votes: several runs add up what they believe and answer once, where a majority counts their finished answers.

Log-probabilities are added class by class, log-odds bit by bit; then the largest, or the sign, is the answer. It is what
independent witnesses with an even prior come to: a run that knows nothing is near 0 and says nothing, while in a majority
its guess counts as much as another's knowledge.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.tasks.task import Task

T = TypeVar("T")
Size = Int[Array, " size"]


def can_pool(task: Task, runs: RepeatedRuns) -> bool:
    """Whether runs of a task say how likely answers are; sampled outputs are draws and do not."""
    return type(task).log_chances is not Task.log_chances and runs.sampling is None


def running_votes(
    log_chances: Callable[[Int[Array, ""]], tuple[Array, T]], runs: int, sizes: Size, decide: Callable[[Array], Array]
) -> tuple[Shaped[Array, "run size *decision"], T]:
    """What the runs of a group have decided together so far, after every run and for every size of group.

    Only the sums are kept, one for each size, however many runs there are.

    Args:
        log_chances: of a run, by its number, and what else is wanted of it: one pass of the policy gives both.
        decide: what a sum says.

    Returns:
        The votes, and what else was wanted of every run.
    """
    one, _ = jax.eval_shape(log_chances, jax.ShapeDtypeStruct((), jnp.int32))

    def add(sums: Array, run: Int[Array, ""]) -> tuple[Array, tuple[Array, T]]:
        begins = (run % sizes == 0).reshape(-1, *[1] * len(one.shape))
        of_run, beside = log_chances(run)
        sums = jnp.where(begins, 0.0, sums) + of_run[None]
        return sums, (jax.vmap(decide)(sums), beside)

    return jax.lax.scan(add, jnp.zeros((len(sizes), *one.shape)), jnp.arange(runs))[1]


def of_whole_groups(
    votes: Shaped[np.ndarray, "instance run size"], sizes: Sequence[int]
) -> dict[int, Shaped[np.ndarray, "instance vote"]]:
    """The votes after the last run of every whole group, by size: the groups that a majority is taken of."""
    return {k: votes[:, k - 1 :: k, index] for index, k in enumerate(sizes)}
