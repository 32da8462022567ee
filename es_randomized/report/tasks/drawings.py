"""Where the drawings of a task are: report/tasks/<kind>.py, for a task of this package that has any."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast, runtime_checkable

from jaxtyping import Array, Float

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score
from es_randomized.report.figures import Area, PageFigure
from es_randomized.tasks.task import Task


@runtime_checkable
class Drawings(Protocol):
    """What a module of drawings defines."""

    def draw(self, area: Area, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> Any:
        """The lower row of the picture of a run, in a matplotlib subfigure."""

    def figures(
        self, name: str, experiment: Experiment, score: Score, weights: Float[Array, " param"]
    ) -> list[PageFigure]:
        """Figures of a run on a page, whose files begin with `name`."""


def drawings_of(task: Task) -> Drawings | None:
    """The drawings of a task; None for one that has none."""
    package, _, kind = type(task).__module__.rpartition(".")
    module = f"{__package__}.{kind}"
    if package != "es_randomized.tasks" or find_spec(module) is None:
        return None
    return cast(Drawings, import_module(module))
