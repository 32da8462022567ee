"""How programs are compiled: one place for compiler options, CPU devices and the persistent cache.

CPU: every device runs its programs on one thread, and a process has one device per core it may use. Independent
programs on separate cores beat one program spread over all cores by more than two (these kernels are small), and a
result cannot depend on how a library splits a sum over threads.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

CPU_OPTIONS = {"xla_cpu_multi_thread_eigen": False}


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure(devices: int | None = None, cache: Path | None = None, platform: str | None = None) -> None:
    """Set up JAX for this process; call it before anything is computed.

    Args:
        devices: CPU devices to create; one per usable core unless given.
        cache: folder of compiled programs kept between processes.
        platform: compute on this one (cpu, gpu, tpu) only and leave the others alone; JAX's choice unless given.
    """
    if platform:
        jax.config.update("jax_platforms", platform)
    jax.config.update("jax_num_cpu_devices", devices or usable_cores())
    jax.config.update("jax_compilation_cache_dir", str(cache or default_cache("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def default_cache(what: str) -> Path:
    """Where in the user's cache folder to keep `what`, as the XDG base directory specification has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "es_randomized" / what


def jit(function: Callable[..., Any]) -> Any:
    """`jax.jit` with this project's compiler options for the default backend."""
    options = CPU_OPTIONS if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)
