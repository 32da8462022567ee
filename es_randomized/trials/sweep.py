"""A sweep as text: the experiment it starts from, what is varied and how, when a trial is given up, what is compared.

YAML files in configs/sweeps; docs/sweep.md says how to write one. Strict like an experiment.
"""

import math
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import GIVE_A_PATH, construct, load, read_file, saying_where, settings_of
from es_randomized.drivers.layout import with_tile
from es_randomized.errors import ConfigError, UserError
from es_randomized.settings import settings

Dotted = dict[str, Any]  # settings, or whole sections, by their dotted names
Metric = Literal["average", "p95", "worst", "loss"]
CHANGES_THE_LOSS = ("task", "objective", "batch")


@settings
class Parameter:
    """What one setting may be.

    Attributes:
        values: these, whatever YAML can say: numbers, words, schedules, whole sections.
        low, high: or anything between these two, both possible.
        scale: of what is between: linear, or log, where every factor is as likely as any other of its size.
        whole: whole numbers only.
        along: other settings that change with this one, by dotted names: one value for each of `values`.
    """

    values: Annotated[list[Any], Field(min_length=1)] | None = None
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False
    along: dict[str, list[Any]] = Field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.along.items():
            if self.values is None or len(values) != len(self.values):
                raise ValueError(f"along: {name} needs one value for each of values: [...]")
        if self.values is not None:
            if self.low is not None or self.high is not None:
                raise ValueError("give values, or low and high, but not both")
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("give values: [...], or low and high with low < high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"scale: log needs low above 0, but it is {self.low:g}")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("whole: true needs whole numbers for low and high")

    def at(self, share: float) -> Any:
        """The value at a share in [0, 1) of the way, rounded to four digits, which is how names and tables show it."""
        if self.values is not None:
            return self.values[int(share * len(self.values))]
        assert self.low is not None
        assert self.high is not None
        low, high = self.low - self.whole / 2, self.high + self.whole / 2
        if self.scale == "log":
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        return self.rounded(value)

    def settings(self, name: str, value: Any) -> Dotted:
        """What a value means for an experiment; `name` is this setting's own."""
        if self.values is None:
            return {name: value}
        return {name: value} | {other: values[self.values.index(value)] for other, values in self.along.items()}

    def admits(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.values is not None:
            return value in self.values
        assert self.low is not None
        assert self.high is not None
        return isinstance(value, int | float) and self.low <= value <= self.high

    def rounded(self, value: float) -> float | int:
        """A number between low and high, as it is used."""
        assert self.low is not None
        assert self.high is not None
        if self.whole:
            return round(min(max(value, self.low), self.high))
        return min(max(float(f"{value:.4g}"), self.low), self.high)


@settings
class Search:
    """How points are chosen.

    Attributes:
        kind: grid, every combination of values; random; or optuna, which learns from finished trials where to look (a
            tree-structured Parzen estimator).
        parameters: what is varied, by dotted names.
        points: how many to try, each with all training seeds; of a grid all.
        seed: of the choice.
    """

    kind: Literal["grid", "random", "optuna"] = "grid"
    parameters: Annotated[dict[str, InstanceOf[Parameter]], Field(min_length=1)]
    points: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def __post_init__(self) -> None:
        if self.kind == "grid":
            between = [name for name, parameter in self.parameters.items() if parameter.values is None]
            if between:
                raise ValueError(f"a grid needs values: [...] for {between[0]}; or use kind: random")
            if self.points is not None:
                raise ValueError("a grid tries every combination; leave points out, or use kind: random")
        elif self.points is None:
            raise ValueError(f"kind: {self.kind} needs points, the number of points to try")
        if "seed" in self.parameters:
            raise ValueError("training seeds are no parameter: list them under seeds")


@settings
class Stop:
    """When a trial is given up: asynchronous successive halving (Li et al. 2018).

    Attributes:
        kind: asha.
        first: generations before any trial is given up.
        factor: of the trials that come to first, first × factor, first × factor², ... generations, one in `factor` goes on.
    """

    kind: Literal["asha"]
    first: Annotated[int, Field(ge=1)]
    factor: Annotated[float, Field(gt=1)] = 3.0


@settings
class Room:
    """What one process is given; all of it at once, so that none waits for a part of it.

    Attributes:
        cores: of one process, which evaluates on all of them.
        gpus: of that process; a fraction shares one.
    """

    cores: Annotated[int, Field(ge=1)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0.0


@settings
class Sweep:
    """A sweep.

    Attributes:
        name: of its file.
        base: the experiment every trial starts from, relative to the sweep's file.
        set: settings of all trials.
        search: what is varied and how.
        seeds: training seeds; every point is tried with each.
        metric: what is compared, always as a loss: the failure (or the loss, where that is the task's headline) on
            average, of the instance at the worst 5 % or of the worst instance; or `loss`, the mean training loss.
        stop: when a trial is given up; never by default.
        evaluate: score every trial that is trained to its end, on every instance with fresh seeds.
        room: what one process is given.
        together: trials that share a process and take turns in it, where their programs are the same.
    """

    name: str
    base: InstanceOf[Path]
    set: Dotted = Field(default_factory=dict)
    search: InstanceOf[Search]
    seeds: Annotated[list[int], Field(min_length=1)] = Field(default_factory=lambda: [0])
    metric: Metric = "p95"
    stop: InstanceOf[Stop] | None = None
    evaluate: bool = True
    room: InstanceOf[Room] = Field(default_factory=Room)
    together: Annotated[int, Field(ge=1)] = 1

    def __post_init__(self) -> None:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: every training seed once")
        parameters = self.search.parameters
        varied = {name.partition(".")[0] for each, p in parameters.items() for name in (each, *p.along)}
        if self.metric == "loss" and (unlike := varied.intersection(CHANGES_THE_LOSS)):
            raise ValueError(
                f"metric: loss cannot compare trials that differ in {sorted(unlike)[0]}, which changes what the loss means; "
                "use average, p95 or worst"
            )

    def experiment(self, parameters: Dotted, seed: int) -> Experiment:
        """The experiment of a point with one training seed.

        Raises:
            ConfigError: it cannot be run as written.
        """
        overrides = dict(self.set)
        for name, value in parameters.items():
            overrides |= self.search.parameters[name].settings(name, value)
        try:
            experiment = load(self.base, deepcopy(overrides | {"seed": seed}))
            experiment.batch.bundles(experiment.task)
            if experiment.plan.tile != "auto":
                with_tile(experiment)
        except UserError as error:
            where = ", ".join(f"{name} = {value}" for name, value in parameters.items())
            raise ConfigError(f"the point {where} is no experiment: {error}") from None
        return experiment


def load_sweep(path: Path) -> Sweep:
    """The sweep in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML or does not describe a sweep.
    """
    tree = read_file(path, "sweep", GIVE_A_PATH)
    with saying_where(path):
        return _sweep(path, tree)


def _sweep(path: Path, tree: Any) -> Sweep:
    if not isinstance(tree, dict) or "base" not in tree:
        raise ConfigError("a sweep begins with base:, the experiment it starts from; docs/sweep.md has an example")
    if "task" in tree:
        raise ConfigError("this is an experiment; train it, or write a sweep with base: this file")
    parts = dict(tree)
    search = parts.get("search")
    if not isinstance(search, dict) or not isinstance(search.get("parameters"), dict):
        raise ConfigError("search: expected a mapping with parameters: {dotted.name: {values: [...]}, ...}")
    made = {
        name: settings_of(f"search.parameters.{name}", Parameter, part) for name, part in search["parameters"].items()
    }
    parts["search"] = construct("search", Search, search | {"parameters": made})
    for name, cls in (("stop", Stop), ("room", Room)):
        if parts.get(name) is not None:
            parts[name] = settings_of(name, cls, parts[name])
    return construct("", Sweep, parts | {"name": path.stem, "base": path.parent / str(tree["base"])})
