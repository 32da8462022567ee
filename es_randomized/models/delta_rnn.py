"""A recurrent network whose recurrent matrix is fast weights too (Irie et al. 2021, arXiv:2106.06295: Delta RNN)."""

from typing import Annotated, Literal

from pydantic import Field

from es_randomized.models.layers.matrix_memory import MatrixMemory
from es_randomized.models.recurrent import Recurrent
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]


@settings
class DeltaRNN(Recurrent):
    """Blocks of the delta rule that add what a second memory says to the softmax of what they returned last.

    Attributes:
        heads: pairs of memories per block.
        key: features of queries, keys and values per head.
        features: of keys and queries of the first memory, as of `delta`; the second one's are a softmax.
        shifts: of dpfp.
    """

    heads: Size = 1
    key: Size = 8
    features: Literal["elu", "softmax", "dpfp"] = "softmax"
    shifts: Size = 1

    @property
    def recurrence(self) -> MatrixMemory:
        return MatrixMemory(self.heads, self.key, self.features, delta=True, feedback="fast", shifts=self.shifts)
