"""What every benchmark writes: hardware, versions, date, command, results."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from es_randomized.runs.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def record(script: str, results: Any) -> Path:
    """Write `results` with everything a reader needs to judge them; returns the file."""
    hardware = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.system(),
    }
    path = RESULTS / f"{script}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"hardware": hardware, "provenance": provenance(), "results": results}, indent=1) + "\n")
    return path


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
