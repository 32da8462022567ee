"""A sweep as text: the experiment it starts from, what is varied and how, when a trial is stopped, what is compared.

YAML files in configs/sweeps; docs/sweep.md says how to write one. Strict like an experiment.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf

from es_randomized.config.kinds import OfKind
from es_randomized.config.renamed import with_new_names
from es_randomized.config.yaml import GIVE_A_PATH, check_names, read_file, saying_where, settings_of
from es_randomized.errors import ConfigError
from es_randomized.settings import settings
from es_randomized.trials.search import Search
from es_randomized.trials.trial import Dotted

Metric = Literal["average", "p95", "worst", "loss"]
CHANGES_THE_LOSS = ("task", "objective", "batch")
NEW_NAMES = {"room": "resources", "together": "trials_per_process"}


@settings
class Stop:
    """When a trial is stopped early: asynchronous successive halving (Li et al. 2018).

    Attributes:
        kind: asha.
        first: generations before any trial is stopped.
        factor: of the trials that come to first, first × factor, first × factor², ... generations, one in `factor` goes on.
    """

    kind: Literal["asha"]
    first: Annotated[int, Field(ge=1)]
    factor: Annotated[float, Field(gt=1)] = 3.0


@settings
class Resources:
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
        metric: what is compared, always as a loss: the failure (or the loss, where that is the task's measure) on
            average, of the instance at the worst 5 % or of the worst instance; or `loss`, the mean training loss.
        stop: when a trial is stopped early; never by default.
        evaluate: score every trial that is trained to its end, on every instance with fresh seeds.
        resources: what one process is given.
        trials_per_process: trials that take turns in one process, at most, where their programs are the same.
    """

    name: str
    base: InstanceOf[Path]
    set: Dotted = Field(default_factory=dict)
    search: Annotated[Search, OfKind("search")]
    seeds: Annotated[list[int], Field(min_length=1)] = Field(default_factory=lambda: [0])
    metric: Metric = "p95"
    stop: Stop | None = None
    evaluate: bool = True
    resources: Resources = Field(default_factory=Resources)
    trials_per_process: Annotated[int, Field(ge=1)] = 1

    def __post_init__(self) -> None:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: every training seed once")
        names = [name for own, p in self.search.parameters.items() for name in (own, *p.along)]
        different = {name.partition(".")[0] for name in names}.intersection(CHANGES_THE_LOSS)
        if self.metric == "loss" and different:
            raise ValueError(
                f"metric: loss cannot compare trials that differ in {sorted(different)[0]}, which changes what the loss "
                "means; use average, p95 or worst"
            )


def load_sweep(path: Path) -> Sweep:
    """The sweep in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML or does not describe a sweep.
    """
    tree = read_file(path, "sweep", GIVE_A_PATH)
    check_names(tree, str(path))
    with saying_where(path):
        return _sweep(path, tree)


def _sweep(path: Path, tree: Any) -> Sweep:
    if not isinstance(tree, dict) or "base" not in tree:
        raise ConfigError("a sweep begins with base:, the experiment it starts from; docs/sweep.md has an example")
    if "task" in tree:
        raise ConfigError("this is an experiment; train it, or write a sweep with base: this file")
    search = tree.get("search")
    if not isinstance(search, dict) or not isinstance(search.get("parameters"), dict):
        raise ConfigError("search: expected a mapping with parameters: {dotted.name: {values: [...]}, ...}")
    parts = with_new_names(tree, NEW_NAMES) | {"name": path.stem, "base": path.parent / str(tree["base"])}
    return settings_of("", Sweep, parts)
