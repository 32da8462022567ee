"""How programs are compiled: one place for compiler options, CPU devices and the persistent cache.

CPU: every device runs its programs on one thread, and a process has one device per core it may use. Independent
programs on separate cores beat one program spread over all cores by more than two (these kernels are small), and a
result cannot depend on how a library splits a sum over threads.
"""

import functools
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

import jax
import psutil

from es_randomized.device_memory import DoesNotFitError, compile_lowered, memory_bytes
from es_randomized.errors import ConfigError, StorageError
from es_randomized.own_folder import home, own_folder
from es_randomized.precision import Precision, arithmetic

log = logging.getLogger(__name__)

Platform = Literal["cpu", "gpu", "tpu"]

# One thread per device; vectors as wide as the processor has; matrix products by Eigen, which for these shapes beats YNNPACK.
CPU_OPTIONS: dict[str, Any] = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_cpu_prefer_vector_width": 512,
    "xla_cpu_experimental_ynn_fusion_type": "",
}
# Settings of JAX that decide about bits, as they have to be. The environment may hold others (JAX_ENABLE_X64=1).
DECIDING: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_threefry_partitionable": True,
    "jax_default_prng_impl": "threefry2x32",
    "jax_default_matmul_precision": None,
    "jax_disable_jit": False,
}
# Of the libraries XLA calls on CPUs only YNNPACK multiplies bfloat16 numbers as such (AMX); Eigen gets them as float32 ones.
BFLOAT16_CPU_OPTIONS = CPU_OPTIONS | {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure(devices: int | None = None, cache: Path | None = None, platform: str | None = None) -> None:
    """Set up JAX for this process; call it before anything is computed.

    What would change results is what this package is made for, whatever the environment says: see `DECIDING`.

    Args:
        devices: CPU devices to create; one per usable core unless given.
        cache: folder of compiled programs kept between processes.
        platform: compute on this one (cpu, gpu, tpu) only and leave the others alone; JAX's choice unless given.
    """
    for name, value in DECIDING.items():
        if getattr(jax.config, name) != value:
            log.warning(
                "%s is set to %s, which would change results; it is %s here", name, getattr(jax.config, name), value
            )
            jax.config.update(name, value)
    if platform:
        jax.config.update("jax_platforms", platform)
    devices = devices or usable_cores()
    jax.config.update("jax_num_cpu_devices", devices)
    # With one device a second thread to hand programs to only takes time, above all on a worker's one core.
    jax.config.update("jax_cpu_enable_async_dispatch", devices > 1)
    jax.config.update("jax_compilation_cache_dir", str(cache or default_cache("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def check_devices() -> None:
    """Raises ConfigError where JAX cannot compute on what it was told to."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter where none of the named platforms is installed
        named = os.environ.get("JAX_PLATFORMS") or "any"
        raise ConfigError(
            f"JAX finds no device of JAX_PLATFORMS={named}: {str(error) or 'none is installed'}; unset or change it"
        ) from None


def deciding_settings() -> dict[str, Any]:
    """Settings of JAX in use that decide about bits, and the flags of its compiler."""
    return {name: getattr(jax.config, name) for name in DECIDING} | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}


def default_cache(what: str) -> Path:
    """The folder for `what` in the user's cache, as the XDG base directory specification has it.

    It is one of this user's among temporary files where there is no home or nothing can be written into it.
    """
    with suppress(StorageError, OSError):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "es_randomized" / what
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return own_folder() / ".cache" / "es_randomized" / what


def platform_here() -> Platform:
    """What this process computes on."""
    return cast(Platform, jax.default_backend())


class Compiler(ABC):
    """What programs are planned and compiled for: the devices here, or a type of device that need not be here.

    Attributes:
        platform: of the device.
    """

    @property
    @abstractmethod
    def platform(self) -> Platform: ...

    @abstractmethod
    def compile(self, program: Any, *shapes: Any) -> Any:
        """A program that `jit` returned, compiled for arguments of these shapes, as `jax.stages.Compiled`.

        Raises:
            DoesNotFitError: the memory of the device does not hold it.
        """

    @abstractmethod
    def free_bytes(self) -> int:
        """Memory that arrays of a generation may take."""

    def memory_bytes(self, program: Any, *shapes: Any) -> int:
        """Bytes of arguments, temporaries and results of that program, also where the device has no memory for it."""
        try:
            return memory_bytes(self.compile(program, *shapes))
        except DoesNotFitError as error:
            return error.wanted


class Here(Compiler):
    """Compiles for the devices of this process."""

    @property
    def platform(self) -> Platform:
        return platform_here()

    def compile(self, program: Any, *shapes: Any) -> Any:
        return compile_lowered(program.lower(*shapes))

    def free_bytes(self) -> int:
        return int(psutil.virtual_memory().available)


HERE = Here()


def jit(function: Callable[..., Any], precision: Precision = "float32", platform: Platform | None = None) -> Any:
    """`jax.jit` with this project's compiler options for a platform, the one here by default, and a model's precision."""
    compiled = jax.jit(function, compiler_options=options(precision, platform) or None)
    return Wide(compiled) if precision == "float64" else compiled


def jit_for(program: Any, platform: Platform) -> Any:
    """The program that `jit` made for the platform here, for another one."""
    if isinstance(program, Wide):
        return jit(program.function, "float64", platform)
    return jit(program.__wrapped__, platform=platform)


class Wide:
    """A jitted function that is traced, compiled and called where float64 is allowed."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    @property
    def function(self) -> Callable[..., Any]:
        """What was jitted."""
        function: Callable[..., Any] = self._compiled.__wrapped__
        return function

    def __call__(self, *arguments: Any) -> Any:
        with arithmetic("float64"):
            return self._compiled(*arguments)

    def lower(self, *arguments: Any) -> Any:
        """See `jax.jit`."""
        with arithmetic("float64"):
            return self._compiled.lower(*arguments)


def options(precision: Precision = "float32", platform: Platform | None = None) -> dict[str, Any]:
    """The compiler options in use: those that the installed XLA knows, on CPUs; none elsewhere.

    Args:
        platform: to compile for; the one here by default.
    """
    if (platform or platform_here()) != "cpu":
        return {}
    wanted = BFLOAT16_CPU_OPTIONS if precision == "bfloat16" else CPU_OPTIONS
    return {name: wanted[name] for name in wanted if _known(name, wanted[name])}


@functools.cache
def _known(option: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={option: value}).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if any(message in str(error) for message in ("No such compile option", "is not a valid enum value")):
            return False
        raise
    return True
