"""The delta rule as a memory: what stands under a key is replaced, not added to (Schlag et al. 2021, arXiv:2102.11174)."""

from typing import ClassVar, Literal

from es_randomized.models.layers.matrix_memory import Feedback, MatrixMemory
from es_randomized.models.recurrent import Recurrent, Size
from es_randomized.settings import settings


@settings
class Delta(Recurrent):
    """Blocks of fast weights that the delta rule writes, at a rate that every token decides.

    Attributes:
        heads: memories per block.
        key: features of queries, keys and values per head.
        features: of keys and queries, divided by their sum: elu: elu(x) + 1; softmax; or dpfp: 2 · key · shifts products of
            relu(±x) with itself, a memory with more slots.
        shifts: of dpfp.
    """

    feedback: ClassVar[Feedback] = "none"

    heads: Size = 1
    key: Size = 8
    features: Literal["elu", "softmax", "dpfp"] = "elu"
    shifts: Size = 1

    @property
    def recurrence(self) -> MatrixMemory:
        return MatrixMemory(self.heads, self.key, self.features, delta=True, feedback=self.feedback, shifts=self.shifts)
