"""Where a run comes from: versions, code revision, machine and command, as plain data."""

import datetime
import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import psutil

from es_randomized.compilation import deciding_settings, options
from es_randomized.precision import Precision

PACKAGES = ("es-randomized", "jax", "jaxlib", "evosax", "optax", "numpy", "pyarrow", "ray")
DECIDING_PACKAGES = ("jax", "jaxlib", "evosax", "optax", "numpy")


def provenance(precision: Precision = "float32") -> dict[str, Any]:
    """What a person repeating this run needs to know besides the experiment, of the process that made its folder.

    Its devices and options need not be those of Ray workers: `workers/` says where they computed.

    Args:
        precision: of the experiment's model, which the compiler options follow.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "revision": _revision(),
        "machine": platform.machine(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cpu_compiler_options": options(precision),  # GPUs and TPUs have none
        "jax_settings": deciding_settings(),
    }


def deciding_versions() -> dict[str, str | None]:
    """What must agree between processes that compute parts of one run: packages, and this package's own source."""
    packages = {name: _version(name) for name in DECIDING_PACKAGES}
    root = Path(__file__).parents[1]
    source = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        source.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    settings = {name: str(value) for name, value in deciding_settings().items() if name != "XLA_FLAGS"}
    return packages | settings | {"the source of es-randomized": source.hexdigest()[:12]}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two provenances so that last bits may: "jax 0.10 (now 0.11)" and the like.

    What an older one does not say counts as the same.
    """
    pairs = {"device": (then.get("device", now["device"]), now["device"])}
    for part, names in (("packages", DECIDING_PACKAGES), ("jax_settings", now["jax_settings"])):
        known = then.get(part, now[part])
        pairs |= {name: (known.get(name), now[part][name]) for name in names}
    return [f"{name} {was or 'none'} (now {is_ or 'none'})" for name, (was, is_) in pairs.items() if was != is_]


def hardware() -> dict[str, Any]:
    """What a person judging a speed needs to know of the machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.system(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@functools.cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@functools.cache
def _revision() -> str | None:
    """The git revision of this package's source, marked where it has uncommitted changes; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
