"""A linear recurrent network between two gates, which can be linear attention (Zucchet et al. 2023, arXiv:2309.01775)."""

from es_randomized.models.layers.gated_units import GatedUnits
from es_randomized.models.recurrent import Recurrent, Size
from es_randomized.settings import settings


@settings
class GatedRNN(Recurrent):
    """Blocks of linear units whose inputs and outputs are products of two linear functions.

    Attributes:
        units: numbers remembered per block.
        gates: products that are read; null: as many as units.
    """

    units: Size = 64
    gates: Size | None = None

    @property
    def recurrence(self) -> GatedUnits:
        return GatedUnits(self.units, self.gates or self.units)
