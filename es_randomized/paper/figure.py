"""A figure as text: what is varied, which models are trained, what of them is drawn, and what the paper found.

One YAML file per figure in configs/paper; docs/reproduction.md says how to read and write one. Strict like an experiment.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf

from es_randomized.config.yaml import read_file, saying_where, settings_of
from es_randomized.errors import ConfigError, suggest
from es_randomized.settings import settings
from es_randomized.trials.trial import Dotted, layered

Statistic = Literal["average", "p95", "worst", "loss_average", "loss_p95", "seed_share", "seed_decides"]


@settings
class Axis:
    """What is varied from left to right.

    Attributes:
        label: of the axis.
        settings: dotted settings that change together, one value per position; those of the first are shown.
    """

    label: str
    settings: Annotated[dict[str, list[Any]], Field(min_length=1)]

    def __post_init__(self) -> None:
        if len({len(values) for values in self.settings.values()}) != 1 or not self.values:
            raise ValueError(f"the settings {', '.join(self.settings)} need one value each for every position")

    @property
    def values(self) -> list[Any]:
        """The positions."""
        return next(iter(self.settings.values()))

    def at(self, position: int) -> Dotted:
        """The settings of one position."""
        return {dotted: values[position] for dotted, values in self.settings.items()}


@settings
class Variant:
    """One way to train.

    Attributes:
        label: for the legend.
        settings: dotted settings that make the base experiment this one; they win over those of an axis.
    """

    label: str
    settings: Dotted = Field(default_factory=dict)


@settings
class Curve:
    """What is drawn of a model.

    Attributes:
        model: its name.
        answer: one run (with the randomness it was trained with), sampled or dropout (one frozen seed), or the majority
            of several runs.
        paper: the paper's values by measure; of a panel with an axis by position, else one number.
    """

    model: str
    answer: Annotated[str, Field(pattern=r"^(one run|sampled|dropout|majority of \d+)$")] = "one run"
    paper: dict[Statistic, float | dict[float, float]] = Field(default_factory=dict)

    @property
    def source(self) -> Literal["sampled", "dropout"] | None:
        """The source of randomness, None for the model's own."""
        return "sampled" if self.answer == "sampled" else "dropout" if self.answer == "dropout" else None


@settings
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        label: of the vertical axis, with the unit.
        measures: what is drawn; several only where there is no axis.
        axis: what is varied; null: the models stand side by side.
        models: only these; all by default.
        lines: exact references of the task, by the beginning of their name, and which of their values is drawn.
    """

    title: str
    label: str
    measures: Annotated[list[Statistic], Field(min_length=1)]
    axis: str | None = None
    models: list[str] = Field(default_factory=list)
    lines: dict[str, Literal["average", "p95", "worst"]] = Field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.axis and len(self.measures) > 1:
            raise ValueError("a panel with an axis draws one measure; use one panel for each")


@settings
class Scale:
    """How large everything is.

    Attributes:
        note: one line for the picture: what is smaller than in the paper.
        seeds: training seeds.
        settings: dotted settings of all trials; those of an axis and of a model win over them.
        axes: other positions, by the name of the axis.
        models: further dotted settings of a model, by its name; they win over its others.
        experiment: the file every trial starts from, if it is not the figure's.
        comparable: whether the paper's values are of the same task, and so worth drawing.
    """

    note: str
    seeds: Annotated[list[int], Field(min_length=1)]
    settings: Dotted = Field(default_factory=dict)
    axes: dict[str, dict[str, list[Any]]] = Field(default_factory=dict)
    models: dict[str, Dotted] = Field(default_factory=dict)
    experiment: str | None = None
    comparable: bool = True


@settings
class PaperFigure:
    """A figure at one scale.

    Attributes:
        name: of its file.
        title, shows: for people.
        experiment: the file every trial starts from.
        scale_name: which of the file's scales this is.
    """

    name: str
    title: str
    shows: str
    experiment: InstanceOf[Path]
    axes: dict[str, Axis] = Field(default_factory=dict)
    models: dict[str, Variant] = Field(default_factory=dict)
    curves: list[Curve] = Field(default_factory=list)
    panels: list[Panel] = Field(default_factory=list)
    scale: Scale
    scale_name: str

    def __post_init__(self) -> None:
        for curve in self.curves:
            _must_know("curves", curve.model, self.models)
        for panel in self.panels:
            _must_know("panels", panel.axis, [None, *self.axes])
            for model in panel.models:
                _must_know("panels", model, self.models)

    def curves_of(self, panel: Panel) -> list[Curve]:
        """What a panel draws."""
        return [curve for curve in self.curves if not panel.models or curve.model in panel.models]


def load_figure(path: Path, scale: str) -> PaperFigure:
    """The figure in a YAML file, at one of its scales.

    Raises:
        ConfigError: the file is missing, is not YAML or does not describe a figure.
    """
    tree = read_file(path, "figure")
    with saying_where(path):
        return _figure(path, dict(tree or {}), scale)


def _figure(path: Path, tree: dict[str, Any], scale: str) -> PaperFigure:
    scales = {name: settings_of(f"scales.{name}", Scale, part) for name, part in tree.pop("scales", {}).items()}
    _must_know("scales", scale, scales)
    chosen = scales[scale]
    axes = {name: dict(part) for name, part in tree.get("axes", {}).items()}
    for name, positions in chosen.axes.items():
        _must_know(f"scales.{scale}.axes", name, axes)
        axes[name]["settings"] = positions
    models = {name: dict(part) for name, part in tree.get("models", {}).items()}
    for name, further in chosen.models.items():
        _must_know(f"scales.{scale}.models", name, models)
        models[name]["settings"] = layered(models[name].get("settings", {}), further)
    experiment = path.parent / (chosen.experiment or str(tree.get("experiment", "")))
    parts = {
        "axes": axes,
        "models": models,
        "experiment": experiment,
        "name": path.stem,
        "scale": chosen,
        "scale_name": scale,
    }
    return settings_of("", PaperFigure, tree | parts)


def _must_know(where: str, name: str | None, known: Collection[str | None]) -> None:
    if name not in known:
        raise ConfigError(f"{where}: nothing is called {name}; {suggest(str(name), [str(one) for one in known])}")
