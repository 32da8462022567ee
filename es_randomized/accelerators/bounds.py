"""How fast a compiled program can be at best, from what it moves and multiplies."""

from es_randomized.accelerators.device_type import DeviceType
from es_randomized.accelerators.hlo import Work
from es_randomized.precision import Precision


def bounds(work: Work, flops: float, device: DeviceType, precision: Precision) -> dict[str, float]:
    """Seconds that one call takes at least: to move its bytes, to multiply, and, on TPUs, as the compiler expects.

    Args:
        flops: of its matrix products.
        precision: of their numbers.
    """
    seconds = {"memory": work.bytes / device.bandwidth, "products": flops / device.peak(precision)}
    if device.clock and work.cycles:
        seconds["compiler"] = work.cycles / device.clock
    return seconds
