"""RG-LRU: a real, stable linear recurrence whose tokens decide what is kept (De et al. 2024, arXiv:2402.19427)."""

from typing import Annotated

from pydantic import Field

from es_randomized.models.layers.gated_units import RealGatedUnits
from es_randomized.models.recurrent import Recurrent
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]


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
