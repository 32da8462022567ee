"""Devices that are not here, whose compiler is the one here."""

from dataclasses import dataclass, replace

from es_randomized.accelerators.device_type import CompilerOf, DeviceType, device_type
from es_randomized.compilation import Here
from es_randomized.device_memory import GIB


@dataclass(frozen=True)
class Toy(Here, CompilerOf):
    """Compiles here for a device that is said to be another."""

    device: DeviceType

    @property
    def platform(self):
        return self.device.platform

    def free_bytes(self):
        return self.device.memory


DEVICE = replace(device_type("l4"), name="toy", platform="cpu", memory=GIB, bandwidth=1e9, flops=1e12)
ACCELERATOR = replace(DEVICE, platform="gpu")
