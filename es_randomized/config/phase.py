"""A phase: a part of a run with settings of its own. What it does not say is as in the sections of the experiment."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from es_randomized.config.kinds import SECTIONS, OfKind
from es_randomized.config.sections import Batch, Plan
from es_randomized.models.model import Model
from es_randomized.objectives.objective import Objective
from es_randomized.settings import DriverSettings, settings
from es_randomized.tasks.task import Task

CHANGED = ("task", "model", "objective", "batch", "driver", "plan")  # the sections that a phase may change
DEFAULTS = {"objective": {"kind": "q_norm"}}  # of an experiment that leaves such a section out


@settings
class Phase:
    """A part of a run. Schedules run from its first generation to its last.

    Attributes:
        share: of the run's generations, relative to the shares of the other phases.
        start: from everything the phase before has learned (state), from its weights alone, optimizer and step sizes anew
            (weights), or from other random weights (anew).
        task, model, objective, batch, driver, plan: sections that differ from the experiment's; None: as there.
    """

    share: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    start: Literal["state", "weights", "anew"] = "state"
    task: Annotated[Task, OfKind("task")] | None = None
    model: Annotated[Model, OfKind("model")] | None = None
    objective: Annotated[Objective, OfKind("objective")] | None = None
    batch: Batch | None = None
    driver: Annotated[DriverSettings, OfKind("driver")] | None = None
    plan: Plan | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """The sections that differ, by name."""
        return {name: value for name in CHANGED if (value := getattr(self, name)) is not None}


def ends(shares: list[float], generations: int) -> list[int]:
    """The generation after the last one of every phase.

    Raises:
        ValueError: a phase is left without a generation.
    """
    reached = [sum(shares[: index + 1]) / sum(shares) for index in range(len(shares))]
    numbers = [round(generations * part) for part in reached]
    if any(end <= begin for begin, end in zip([0, *numbers], numbers, strict=False)):
        raise ValueError(
            f"phases: {len(shares)} phases do not fit into {generations} generations; raise budget.generations or the "
            "smallest share"
        )
    return numbers


def with_whole_sections(tree: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's tree whose phases have whole sections: each is filled up from the experiment's own."""
    phases = tree.get("phases")
    if not isinstance(phases, list):
        return dict(tree)
    return {**tree, "phases": [_filled(phase, tree) if isinstance(phase, Mapping) else phase for phase in phases]}


def differences(phase: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    """What a phase's whole sections say that the experiment's do not: what `with_whole_sections` fills up again."""
    return {
        name: _difference(value, tree[name], name) if name in CHANGED else value
        for name, value in phase.items()
        if value is not None
    }


def _filled(phase: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _merged(tree.get(name, DEFAULTS.get(name, {})), value, name) if name in CHANGED else value
        for name, value in phase.items()
    }


def _merged(base: Any, own: Any, section: str = "") -> Any:
    both = isinstance(base, Mapping) and isinstance(own, Mapping)
    if not both or (section and _kind(own, section, _kind(base, section)) != _kind(base, section)):
        return own
    return {**base, **{name: _merged(base.get(name), value) for name, value in own.items()}}


def _difference(own: Mapping[str, Any], base: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    if section and _kind(own, section) != _kind(base, section):
        return dict(own)
    changed = {name: value for name, value in own.items() if name not in base or value != base[name]}
    return {
        name: _difference(value, base[name]) if _fills_up(value, base.get(name)) else value
        for name, value in changed.items()
    }


def _fills_up(own: Any, base: Any) -> bool:
    """Whether merging restores all of `own` from what differs."""
    return isinstance(own, Mapping) and isinstance(base, Mapping) and set(base) <= set(own)


def _kind(tree: Mapping[str, Any], section: str, default: object = None) -> object:
    """The kind that a section names, whatever that is; None where sections have no kinds."""
    place = SECTIONS.get(section)
    return tree.get("kind", default or place.default) if place else None
