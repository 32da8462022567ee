"""Fast weights written by a network that sees what it read last (Irie et al. 2021, arXiv:2106.06295: Recurrent Delta Net)."""

from typing import Annotated, Literal

from pydantic import Field

from es_randomized.models.layers.matrix_memory import MatrixMemory
from es_randomized.models.recurrent import Recurrent
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]


@settings
class RecurrentDelta(Recurrent):
    """Blocks of the delta rule whose queries, keys, values and rates also depend on tanh of what was read last.

    Attributes:
        heads: memories per block.
        key: features of queries, keys and values per head.
        features: of keys and queries, as of `delta`.
        shifts: of dpfp.
    """

    heads: Size = 1
    key: Size = 8
    features: Literal["elu", "softmax", "dpfp"] = "softmax"
    shifts: Size = 1

    @property
    def recurrence(self) -> MatrixMemory:
        return MatrixMemory(self.heads, self.key, self.features, delta=True, feedback="slow", shifts=self.shifts)
