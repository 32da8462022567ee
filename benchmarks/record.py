"""What every benchmark writes: hardware, versions, date, command, results."""

import json
from pathlib import Path
from typing import Any

from es_randomized.runs.provenance import hardware, provenance
from es_randomized.runs.storage import write_atomically

RESULTS = Path(__file__).parent / "results"


def record(script: str, results: Any) -> Path:
    """Write `results` with everything a reader needs to judge them; returns the file."""
    path = RESULTS / f"{script}.json"
    path.parent.mkdir(exist_ok=True)
    text = json.dumps({"hardware": hardware(), "provenance": provenance(), "results": results}, indent=1) + "\n"
    write_atomically(path, text.encode())
    return path


def recorded(script: str) -> dict[str, Any]:
    """The results written last, if any."""
    path = RESULTS / f"{script}.json"
    return dict(json.loads(path.read_text())["results"]) if path.exists() else {}
