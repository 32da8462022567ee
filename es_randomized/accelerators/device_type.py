"""Types of accelerator that a run can be checked for, from their data sheets."""

import re
from dataclasses import dataclass, field

import jax

from es_randomized.compilation import Compiler, Platform
from es_randomized.device_memory import GIB
from es_randomized.errors import ConfigError, suggest
from es_randomized.precision import Precision

GB = 10**9


@dataclass(frozen=True)
class DeviceType:
    """One accelerator: a GPU, or a chip of a TPU.

    Attributes:
        name: as it is asked for.
        memory: bytes of its main memory.
        bandwidth: bytes a second between it and that memory.
        flops: of matrix products a second at most, as XLA multiplies float32 numbers by default (one pass of bfloat16 operands
            on TPUs, TF32 on GPUs), without sparsity.
        flops_bfloat16: the same of bfloat16 numbers.
        lanes: to whole multiples of this an array's last axis is padded in memory; 1: it is not.
        source: of the numbers.
        topology: what XLA calls it.
        clock: cycles a second of a TPU, peak flops by what its matrix units do in a cycle; None: its compiler counts none.
        details: what a GPU's compiler needs to know besides.
    """

    name: str
    platform: Platform
    memory: int
    bandwidth: float
    flops: float
    flops_bfloat16: float
    lanes: int
    source: str
    topology: str
    clock: float | None = None
    details: dict[str, object] = field(default_factory=dict, compare=False)

    @property
    def usable(self) -> int:
        """Bytes that programs may take: JAX keeps a quarter of a GPU's memory free unless it is told otherwise."""
        return self.memory * 3 // 4 if self.platform == "gpu" else self.memory

    def peak(self, precision: Precision) -> float:
        """FLOP a second of matrix products at most."""
        return self.flops_bfloat16 if precision == "bfloat16" else self.flops


class CompilerOf(Compiler):
    """A compiler for a device of a type.

    Attributes:
        device: the type.
    """

    device: DeviceType


def _tpu(name: str, topology: str, memory_gib: int, gb_a_second: float, tera: float, gigahertz: float) -> DeviceType:
    source, flops = f"https://cloud.google.com/tpu/docs/{name}", tera * 1e12
    memory, bandwidth, clock = memory_gib * GIB, gb_a_second * GB, gigahertz * 1e9
    return DeviceType(name, "tpu", memory, bandwidth, flops, flops, 128, source, topology, clock)


def _gpu(
    name: str,
    memory_gb: float,
    gb_a_second: float,
    tera: tuple[float, float],
    source: str,
    **details: object,
) -> DeviceType:
    tf32, bfloat16 = (1e12 * value for value in tera)
    bandwidth = gb_a_second * GB
    return DeviceType(name, "gpu", int(memory_gb * GB), bandwidth, tf32, bfloat16, 1, source, name, details=details)


_HOPPER = {
    "capability": (9, 0),
    "cores": 132,
    "fpus": 128,
    "threads": 2048,
    "shared_memory": 233_472,
    "shared_memory_of_block": 232_448,
    "l2": 50 * 2**20,
    "gigahertz": 1.98,
}
_AMPERE = {
    "capability": (8, 0),
    "cores": 108,
    "fpus": 64,
    "threads": 2048,
    "shared_memory": 167_936,
    "shared_memory_of_block": 166_912,
    "l2": 40 * 2**20,
    "gigahertz": 1.41,
}
_ADA = {
    "capability": (8, 9),
    "cores": 58,
    "fpus": 128,
    "threads": 1536,
    "shared_memory": 102_400,
    "shared_memory_of_block": 101_376,
    "l2": 48 * 2**20,
    "gigahertz": 2.04,
}

DEVICE_TYPES = {
    each.name: each
    for each in (
        _tpu("v5e", "v5e:2x2", 16, 819.0, 197.0, 1.5),
        _tpu("v5p", "v5p:2x2x1", 95, 2765.0, 459.0, 1.75),
        _tpu("v6e", "v6e:2x2", 32, 1638.0, 918.0, 1.75),
        _gpu("l4", 24.0, 300.0, (60.0, 121.0), "https://www.nvidia.com/en-us/data-center/l4", **_ADA),
        _gpu("a100", 42.3, 1555.0, (156.0, 312.0), "https://www.nvidia.com/en-us/data-center/a100", **_AMPERE),
        _gpu("a100-80", 84.9, 2039.0, (156.0, 312.0), "https://www.nvidia.com/en-us/data-center/a100", **_AMPERE),
        _gpu("h100", 84.9, 3352.0, (494.0, 989.0), "https://www.nvidia.com/en-us/data-center/h100", **_HOPPER),
        _gpu("h200", 150.0, 4800.0, (494.0, 989.0), "https://www.nvidia.com/en-us/data-center/h200", **_HOPPER),
    )
}
# Words of what JAX calls them, the more special first.
KINDS = {
    "H200": "h200",
    "H100": "h100",
    "A100-SXM4-80GB": "a100-80",
    "A100 80GB": "a100-80",
    "A100": "a100",
    "L4": "l4",
    "TPU v6 lite": "v6e",
    "TPU v5 lite": "v5e",
    "TPU v5": "v5p",
}


def device_here() -> DeviceType | None:
    """The type of the devices of this process; None where nothing is known of it."""
    return known(jax.devices()[0].device_kind)


def known(kind: str) -> DeviceType | None:
    """The type of a device from what JAX calls it; None where nothing is known of it."""
    found = (name for words, name in KINDS.items() if re.search(rf"\b{words}\b", kind))
    return next((DEVICE_TYPES[name] for name in found), None)


def device_type(name: str) -> DeviceType:
    """The type of accelerator of this name.

    Raises:
        ConfigError: nothing is known of it.
    """
    if name not in DEVICE_TYPES:
        raise ConfigError(f"nothing is known of a device {name!r}; {suggest(name, list(DEVICE_TYPES))}")
    return DEVICE_TYPES[name]
