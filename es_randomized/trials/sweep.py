"""A sweep as text: the experiment it starts from, what is varied and how, when a trial is stopped, what is compared.

YAML files in configs/sweeps; docs/sweep.md says how to write one. Strict like an experiment.
"""

import logging
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf

from es_randomized.config.kinds import WHERE, is_module, only_class
from es_randomized.config.yaml import GIVE_A_PATH, construct, read_file, saying_where, settings_of, suggest
from es_randomized.errors import ConfigError
from es_randomized.settings import settings
from es_randomized.trials import searches
from es_randomized.trials.parameter import Parameter
from es_randomized.trials.search import Search
from es_randomized.trials.trial import Dotted

Metric = Literal["average", "p95", "worst", "loss"]
CHANGES_THE_LOSS = ("task", "objective", "batch")
RENAMED = {"room": "resources", "together": "trials_per_process"}

log = logging.getLogger(__name__)


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
    search: InstanceOf[Search]
    seeds: Annotated[list[int], Field(min_length=1)] = Field(default_factory=lambda: [0])
    metric: Metric = "p95"
    stop: InstanceOf[Stop] | None = None
    evaluate: bool = True
    resources: InstanceOf[Resources] = Field(default_factory=Resources)
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
    with saying_where(path):
        return _sweep(path, tree)


def _sweep(path: Path, tree: Any) -> Sweep:
    if not isinstance(tree, dict) or "base" not in tree:
        raise ConfigError("a sweep begins with base:, the experiment it starts from; docs/sweep.md has an example")
    if "task" in tree:
        raise ConfigError("this is an experiment; train it, or write a sweep with base: this file")
    parts: dict[str, Any] = {str(RENAMED.get(name, name)): part for name, part in tree.items()}
    for old, new in RENAMED.items():
        if old in tree:
            log.warning("%s: %s: is called %s: now", path, old, new)
    parts["search"] = _search(parts.get("search"))
    for name, cls in (("stop", Stop), ("resources", Resources)):
        if parts.get(name) is not None:
            parts[name] = settings_of(name, cls, parts[name])
    return construct("", Sweep, parts | {"name": path.stem, "base": path.parent / str(tree["base"])})


def _search(tree: Any) -> Search:
    if not isinstance(tree, dict) or not isinstance(tree.get("parameters"), dict):
        raise ConfigError("search: expected a mapping with parameters: {dotted.name: {values: [...]}, ...}")
    parameters = {
        name: settings_of(f"search.parameters.{name}", Parameter, part) for name, part in tree["parameters"].items()
    }
    own = {str(name): value for name, value in tree.items() if name != "kind"}
    search: Search = construct("search", search_class(str(tree.get("kind", "grid"))), own | {"parameters": parameters})
    return search


def search_class(kind: str) -> type[Search]:
    """The class of searches/<kind>.py, or of the module <kind>, a search of yours.

    Raises:
        ConfigError: there is none.
    """
    known = [module.name for module in iter_modules(searches.__path__)]
    if kind not in known and not is_module(kind):
        raise ConfigError(f"search.kind: no search is called {kind}; {suggest(kind, known, f'; or {WHERE}')}")
    module = f"{searches.__name__}.{kind}" if kind in known else kind
    return only_class(module, Search, "search.kind")  # type: ignore[type-abstract]
