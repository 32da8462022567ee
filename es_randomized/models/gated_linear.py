"""Linear attention that forgets: a part of the memory is kept at every token (arXiv:2307.08621, arXiv:2312.06635)."""

from typing import Literal

from es_randomized.models.layers.matrix_memory import MatrixMemory
from es_randomized.models.recurrent import Recurrent, Size
from es_randomized.settings import settings


@settings
class GatedLinear(Recurrent):
    """Blocks of linear attention with decay.

    Attributes:
        heads: memories per block.
        key: features of queries, keys and values per head.
        decay: constant: a learned number per head, as in retention; head: one per head that every token decides; key: one
            per entry of the key that every token decides, as in gated linear attention. At first 1 − 2^(−5−h) for head h.
    """

    heads: Size = 1
    key: Size = 8
    decay: Literal["constant", "head", "key"] = "head"

    @property
    def recurrence(self) -> MatrixMemory:
        return MatrixMemory(self.heads, self.key, decay=self.decay)
