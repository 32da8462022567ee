"""Compile for accelerators that are not here, with their own compilers, on this machine's cores."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from es_randomized.accelerators.device_type import CompilerOf, DeviceType
from es_randomized.compilation import Platform, jit_for
from es_randomized.device_memory import compile_lowered
from es_randomized.errors import UserError

# There is no device to try kernels on, so none are tried.
GPU_OPTIONS: dict[str, Any] = {"xla_gpu_autotune_level": 0}
# Without these libtpu asks the cloud who it is, waits for the other hosts of a slice, and lets only one process in.
TPU_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # of the machine here, which has none
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
}


class NoCompilerError(UserError):
    """The compiler of a device is not installed."""


@dataclass(frozen=True)
class Elsewhere(CompilerOf):
    """Compiles for a device that is not here. Make it with `compiler_for`.

    Attributes:
        sharding: of arrays on that device.
    """

    device: DeviceType
    sharding: SingleDeviceSharding
    _compiled: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def platform(self) -> Platform:
        return self.device.platform

    def free_bytes(self) -> int:
        return self.device.usable

    def compile(self, program: Any, *shapes: Any) -> Any:
        """See `Compiler`; what was compiled is kept."""
        lowered = jit_for(program, self.platform).lower(*jax.tree.map(self._there, shapes))
        text = lowered.as_text()  # two drivers of one experiment have two equal programs
        if text not in self._compiled:
            options = GPU_OPTIONS if self.platform == "gpu" else None
            self._compiled[text] = compile_lowered(lowered, options)
        return self._compiled[text]

    def _there(self, leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.sharding)


def compiler_for(device: DeviceType) -> Elsewhere:
    """Its compiler; call this before JAX has computed anything.

    Raises:
        NoCompilerError: it is not installed.
    """
    return Elsewhere(device, SingleDeviceSharding(devices_of(device)[0]))


def devices_of(device: DeviceType, count: int = 1) -> list[Any]:
    """Devices of a type as they are together in one machine, to compile for; call this before JAX has computed anything.

    Args:
        count: of GPUs; TPUs are as many as their topology has.

    Raises:
        NoCompilerError: their compiler is not installed.
    """
    jax.config.update("jax_enable_compilation_cache", False)  # it reads back programs of devices that are here only
    topology = _tpu_topology(device) if device.platform == "tpu" else _gpu_topology(device, count)
    return list(topology.devices)


def _tpu_topology(device: DeviceType) -> Any:
    if not os.environ.get("TPU_LIBRARY_PATH") and not _installed("libtpu"):
        raise _not_installed(device, "tpu-check")
    os.environ.update(TPU_ENVIRONMENT)
    return topologies.get_topology_desc(platform="tpu", topology_name=device.topology)


def _gpu_topology(device: DeviceType, count: int) -> Any:
    if not _installed("jax_plugins.xla_cuda12") or not _installed("nvidia.cuda_nvcc"):
        raise _not_installed(device, "gpu-check")
    import nvidia.cuda_nvcc

    tools = Path(next(iter(nvidia.cuda_nvcc.__path__)))
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_cuda_data_dir={tools}".strip()
    return topologies.get_topology_desc(
        platform="cuda", topology_name=device.name, topology=f"1x1x{count}", target_config=target_config(device)
    )


def target_config(device: DeviceType) -> str:
    """A GPU as XLA is told of it: a GpuTargetConfigProto as text."""
    known: Mapping[str, Any] = device.details
    major, minor = known["capability"]
    numbers = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49_152,
        "shared_memory_per_core": known["shared_memory"],
        "threads_per_core_limit": known["threads"],
        "core_count": known["cores"],
        "fpus_per_core": known["fpus"],
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65_535,
        "block_dim_limit_z": 65_535,
        "memory_bandwidth": int(device.bandwidth),
        "l2_cache_size": known["l2"],
        "clock_rate_ghz": known["gigahertz"],
        "device_memory_size": device.memory,
        "shared_memory_per_block_optin": known["shared_memory_of_block"],
        "registers_per_core_limit": 65_536,
        "registers_per_block_limit": 65_536,
    }
    fields = " ".join(f"{name}: {value}" for name, value in numbers.items())
    return (
        f"gpu_device_info {{ {fields} cuda_compute_capability {{ major: {major} minor: {minor} }} }} "
        'platform_name: "CUDA" dnn_version_info { major: 9 minor: 7 } runtime_version { major: 12 minor: 8 } '
        f'device_description_str: "{device.name}"'
    )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _not_installed(device: DeviceType, extra: str) -> NoCompilerError:
    return NoCompilerError(
        f"the compiler for {device.name} is not installed; pip install 'es-randomized[{extra}]' (it needs no {device.platform} "
        "here)"
    )
