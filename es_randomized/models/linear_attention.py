"""Linear attention: a matrix memory to which every token adds value·keyᵀ (Katharopoulos et al. 2020, arXiv:2006.16236)."""

from typing import Literal

from es_randomized.models.layers.matrix_memory import MatrixMemory
from es_randomized.models.recurrent import Recurrent, Size
from es_randomized.settings import settings


@settings
class LinearAttention(Recurrent):
    """Blocks of linear attention.

    Attributes:
        heads: memories per block.
        key: features of queries, keys and values per head.
        features: of keys and queries: identity, as a transformer with `attention: linear` has them; or elu: elu(x) + 1, with
            reads divided by the sum of all keys times the query.
    """

    heads: Size = 1
    key: Size = 8
    features: Literal["identity", "elu"] = "identity"

    @property
    def recurrence(self) -> MatrixMemory:
        return MatrixMemory(self.heads, self.key, self.features, normalised=self.features == "elu")
