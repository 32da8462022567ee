"""What a policy decided in a rollout with sampled actions, so that every decision can be blamed for its own share of the loss."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float


class Sampled(NamedTuple):
    """A part of the loss to come that only some cases played, scaled up to stand for the others.

    Attributes:
        known: where it was played.
        to_come: this part; ignored where it is not known.
    """

    known: Bool[Array, "step variant case"]
    to_come: Float[Array, "step variant case"]


class Decisions(NamedTuple):
    """The decisions of every case, step by step. Cases decide at the same step if what they have lost before may be compared.

    Attributes:
        log_probability: of the action that was taken; carries the gradient.
        open: whether there was something to decide; the other numbers of a step that is not open are ignored.
        to_come: the loss that this decision could still influence.
        entropy: of the distribution the action was drawn from, in nats; carries the gradient. None: not known.
        sampled: a further part of the loss to come, compared only among the cases that played it.
    """

    log_probability: Float[Array, "step variant case"]
    open: Bool[Array, "step variant case"]
    to_come: Float[Array, "step variant case"]
    entropy: Float[Array, "step variant case"] | None = None
    sampled: Sampled | None = None
