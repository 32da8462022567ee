"""A recurrent network whose recurrent matrix is fast weights too (Irie et al. 2021, arXiv:2106.06295: Delta RNN)."""

from typing import ClassVar, Literal

from es_randomized.models.delta import Delta
from es_randomized.models.layers.matrix_memory import Feedback
from es_randomized.settings import settings


@settings
class DeltaRNN(Delta):
    """Blocks of the delta rule that add what a second memory says to the softmax of what they returned last.

    Settings are those of `delta`; features of the second memory are always a softmax.
    """

    feedback: ClassVar[Feedback] = "fast"

    features: Literal["elu", "softmax", "dpfp"] = "softmax"
