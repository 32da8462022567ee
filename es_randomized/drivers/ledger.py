"""The ledger: what a generation costs, in the same units whichever driver spends it."""

from dataclasses import dataclass, replace

from es_randomized.config.sections import Batch
from es_randomized.models.model import Model
from es_randomized.tasks.task import Task

# One forward and twice as many products backward; what is computed again to save memory is not counted.
GRADIENT_PASSES = 3


@dataclass(frozen=True)
class Cost:
    """Work of training; checks of the centre and evaluation are not part of it.

    Attributes:
        rollouts: of one instance with one seed: members x instances x seeds.
        tokens: computed by policies, at most: rollouts that end early cost less.
        flops: floating-point operations of the matrix products.
    """

    rollouts: int
    tokens: int
    flops: int

    def plus(self, other: "Cost") -> "Cost":
        """The cost of both."""
        return Cost(self.rollouts + other.rollouts, self.tokens + other.tokens, self.flops + other.flops)

    def times(self, count: int) -> "Cost":
        """The cost of `count` of these."""
        return Cost(self.rollouts * count, self.tokens * count, self.flops * count)


def pool_cost(task: Task, model: Model, batch: Batch) -> Cost:
    """The cost of finding the hardest instances of a batch: of one member on all that they are chosen from."""
    if not batch.hardest_of:
        return Cost(0, 0, 0)
    return batch_cost(task, model, replace(batch, instances=batch.hardest_of, hardest_of=None))


def batch_cost(task: Task, model: Model, batch: Batch) -> Cost:
    """The cost of one member on a whole batch, forward."""
    cases = batch.cases(task)
    tokens = cases * task.tokens
    return Cost(cases * task.bundle, tokens, tokens * model.flops(task.interface))
