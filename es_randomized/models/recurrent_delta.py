"""Fast weights written by a network that sees what it read last (Irie et al. 2021, arXiv:2106.06295: Recurrent Delta Net)."""

from typing import ClassVar, Literal

from es_randomized.models.delta import Delta
from es_randomized.models.layers.matrix_memory import Feedback
from es_randomized.settings import settings


@settings
class RecurrentDelta(Delta):
    """Blocks of the delta rule whose queries, keys, values and rates also depend on tanh of what was read last.

    Settings are those of `delta`.
    """

    feedback: ClassVar[Feedback] = "slow"

    features: Literal["elu", "softmax", "dpfp"] = "softmax"
