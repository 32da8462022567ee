"""Findings for people and for programs."""

from dataclasses import asdict
from typing import Any

from es_randomized.doctor.finding import Finding
from es_randomized.doctor.measured import Measured

HEALTHY = "nothing found that holds it back"


def lines(measured: Measured, found: list[Finding]) -> list[str]:
    """What was looked at, then a paragraph per finding."""
    done, of = measured.generations, measured.experiment.budget.generations
    phase = "" if measured.phase is None else f"phase {measured.phase}: "
    first = (
        f"{phase}{done:,} of {of:,} generations, {measured.parameters:,} parameters, {measured.experiment.driver.kind}"
    )
    missing = [f"not measured: {what} ({why})" for why, what in measured.missing.items()]
    return [first, *missing, *([HEALTHY] if not found else [])]


def tree(measured: Measured, found: list[Finding]) -> dict[str, Any]:
    """The same and every measurement, for JSON."""
    numbers = {name: value for name, value in asdict(measured).items() if name != "experiment"}
    return {"findings": [asdict(each) for each in found], "measured": _plain(numbers)}


def _plain(value: Any) -> Any:
    """Named tuples as dictionaries."""
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
