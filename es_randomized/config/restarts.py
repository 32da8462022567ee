"""Restarts: several runs in one, each from other random weights, with populations that grow. They are written as phases."""

from dataclasses import fields, replace
from typing import Annotated, Literal

from pydantic import Field

from es_randomized.config.phase import Phase
from es_randomized.settings import DriverSettings, settings


@settings
class Restarts:
    """The run begins anew, several times. It answers with the best of the ends, see `Answer`.

    Attributes:
        kind: ipop: every time with twice the population, for as many generations (Auger and Hansen 2005). bipop: between any
            two of those there is one with the first population and half of the evaluations of the one before it, which is
            for more generations (Hansen 2009, without drawing that population and its step size).
        runs: how many, the first one included.
    """

    kind: Literal["ipop", "bipop"] = "ipop"
    runs: Annotated[int, Field(ge=2)] = 3


def phases_of(restarts: Restarts, driver: DriverSettings) -> list[Phase]:
    """A phase for every run.

    Raises:
        ValueError: the driver has no population.
    """
    if "population" not in {field.name for field in fields(driver)}:
        raise ValueError(f"restarts: {driver.kind} has no population that could grow; use an evolution strategy")
    return [
        Phase(
            share=share,
            start="anew" if number else "state",
            driver=replace(driver, population=factor * driver.population),  # type: ignore[attr-defined, call-arg]
        )
        for number, (factor, share) in enumerate(_plan(restarts))
    ]


def with_restarts(phases: list[Phase], restarts: Restarts, driver: DriverSettings) -> list[Phase]:
    """The phases of a run with restarts: new ones, or those of a run folder, where they have their plans already.

    Raises:
        ValueError: there are other phases.
    """
    made = phases_of(restarts, driver)
    if not phases:
        return made
    if [replace(phase, plan=None) for phase in phases] != made:
        raise ValueError("phases: a run has phases or restarts, which are written as phases; leave out one of them")
    return phases


def _plan(restarts: Restarts) -> list[tuple[int, float]]:
    """Population and share of the generations of every run, both in those of the first one."""
    if restarts.kind == "ipop":
        return [(2**number, 1.0) for number in range(restarts.runs)]
    grown = [2 ** ((number + 1) // 2) for number in range(restarts.runs)]
    return [(1, max(1.0, size / 2)) if number % 2 == 0 else (size, 1.0) for number, size in enumerate(grown)]
