"""RG-LRU: a real, stable linear recurrence whose tokens decide what is kept (De et al. 2024, arXiv:2402.19427)."""

from es_randomized.models.layers.gated_units import RealGatedUnits
from es_randomized.models.recurrent import Recurrent, Size
from es_randomized.settings import settings


@settings
class RGLRU(Recurrent):
    """Blocks of gated linear units.

    Attributes:
        units: numbers remembered per block.
    """

    units: Size = 16

    @property
    def recurrence(self) -> RealGatedUnits:
        return RealGatedUnits(self.units)
