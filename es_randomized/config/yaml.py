"""Experiments as text: strict YAML in, one clear message where it does not fit, and the same YAML out again."""

import dataclasses
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import es_randomized.tasks
from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import WHERE, class_of, is_module, only_class
from es_randomized.config.sections import Batch, Budget, Evaluation, Plan
from es_randomized.drivers.gradient_settings import GradientSettings
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.cvar import CVaR
from es_randomized.objectives.expected import Expected
from es_randomized.objectives.log_sum_exp import LogSumExp
from es_randomized.objectives.objective import Objective
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.worst_case import WorstCase
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.options import current
from es_randomized.tasks.task import Task

GIVE_A_PATH = "; give the path of a YAML file"
OBJECTIVES: dict[str, type[Objective]] = {
    "expected": Expected,
    "q_norm": QNorm,
    "worst_case": WorstCase,
    "cvar": CVaR,
    "log_sum_exp": LogSumExp,
}
SECTIONS: dict[str, type] = {
    "model": Transformer,
    "batch": Batch,
    "budget": Budget,
    "evaluation": Evaluation,
    "plan": Plan,
}


def load(path: Path | str, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """The experiment in a YAML file, with dotted overrides such as {"driver.population": 128}.

    Raises:
        ConfigError: the file is missing, is not YAML or does not describe an experiment.
    """
    tree = read_file(Path(path), "experiment", GIVE_A_PATH)
    return _overridden(tree, overrides, source=str(path))


def parse(text: str, overrides: Mapping[str, Any] | None = None, source: str = "experiment") -> Experiment:
    """The experiment in YAML text; see `load`."""
    return _overridden(read_yaml(text, source), overrides, source)


def _overridden(tree: Any, overrides: Mapping[str, Any] | None, source: str) -> Experiment:
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: expected sections such as task: and driver:, got {_shown(tree)}")
    for dotted, value in (overrides or {}).items():
        _set(tree, dotted, value)
    return build(tree)


def build(tree: Mapping[str, Any]) -> Experiment:
    """The experiment of a nested mapping, as `dump` makes it."""
    known = ["task", "objective", "driver", *SECTIONS, "seed"]
    for name in tree:
        if name not in known:
            raise ConfigError(f"{name}: unknown section; {suggest(name, known)}")
    if "task" not in tree:
        raise ConfigError(f"task: missing; name one of {', '.join(tasks())}, for example task: {{kind: {tasks()[0]}}}")
    parts: dict[str, Any] = {"task": _task(tree["task"])}
    if "objective" in tree:
        parts["objective"] = _one_of("objective", tree["objective"], list(OBJECTIVES), OBJECTIVES.__getitem__)
    if "driver" in tree:
        parts["driver"] = _driver(tree["driver"])
    parts |= {name: settings_of(name, cls, tree[name]) for name, cls in SECTIONS.items() if name in tree}
    if "seed" in tree:
        parts["seed"] = tree["seed"]
    return construct("", Experiment, parts)


def dump(experiment: Experiment) -> dict[str, Any]:
    """The experiment as nested plain data, every default written out."""
    tree = dataclasses.asdict(experiment)
    names = {cls: name for name, cls in OBJECTIVES.items()}
    module = type(experiment.task).__module__
    tree["task"] = {"kind": module.removeprefix(f"{es_randomized.tasks.__name__}."), **tree["task"]}
    tree["objective"] = {"kind": names[type(experiment.objective)], **tree["objective"]}
    return tree


def write_yaml(tree: Mapping[str, Any]) -> str:
    """YAML text of plain data, sections in order."""
    buffer = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(dict(tree), buffer)
    return buffer.getvalue()


def read_file(path: Path, what: str, advice: str = "") -> Any:
    """Plain data of a YAML file; `what` it should describe and `advice` are for the message of one that is missing.

    Raises:
        ConfigError: it cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}{advice}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not valid YAML: it is not UTF-8 text") from None
    return read_yaml(text, str(path))


@contextmanager
def saying_where(path: Path) -> Iterator[None]:
    """Messages about what a file describes begin with its path."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_yaml(text: str, source: str) -> Any:
    """Plain data of YAML 1.2 text (1e-3 is a number, a key given twice is an error)."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: not valid YAML: {getattr(error, 'problem', error)}") from None


def tasks() -> list[str]:
    """Every task: the modules of es_randomized/tasks, by file name."""
    return sorted(m.name for m in iter_modules(es_randomized.tasks.__path__) if m.name not in ("task", "measure"))


def task_class(kind: str) -> type[Task]:
    """The task class of es_randomized/tasks/<kind>.py, or of the module <kind>, a task of your own.

    Raises:
        ConfigError: the module cannot be imported or does not define one whole task.
    """
    module = f"es_randomized.tasks.{kind}" if kind in tasks() else kind
    found: type[Task] = only_class(module, Task, "task.kind")  # type: ignore[type-abstract]
    if not dataclasses.is_dataclass(found):
        raise ConfigError(
            f"task.kind: {found.__name__} has no settings; write @settings above it (es_randomized.settings)"
        )
    return found


def _task(tree: Any) -> Any:
    kind = tree.get("kind") if isinstance(tree, dict) else None
    own = [kind] if isinstance(kind, str) and is_module(kind) else []
    return _one_of("task", tree, [*tasks(), *own], task_class, f"; or {WHERE}")


def _driver(tree: Any) -> Any:
    if isinstance(tree, dict) and tree.get("kind") == "gradient":
        return settings_of("driver", GradientSettings, tree)
    if not isinstance(tree, dict):
        return settings_of("driver", EvolutionSettings, tree)
    strategy = class_of("driver", tree.get("kind", "Open_ES"))
    settings = settings_of("driver", strategy.Settings, current(strategy, tree))
    strategy.check(settings)
    return settings


def _one_of(section: str, tree: Any, kinds: list[str], class_of: Any, otherwise: str = "") -> Any:
    if not isinstance(tree, dict) or "kind" not in tree:
        raise ConfigError(f"{section}: expected a mapping with a kind, one of {', '.join(kinds)}; got {_shown(tree)}")
    kind = tree["kind"]
    if kind not in kinds:
        raise ConfigError(
            f"{section}.kind: no {section} is called {_shown(kind)}; {suggest(str(kind), kinds, otherwise)}"
        )
    return settings_of(section, class_of(kind), {key: value for key, value in tree.items() if key != "kind"})


def settings_of(section: str, cls: Any, tree: Any) -> Any:
    """The settings object of a mapping; nested mappings become the nested settings their field asks for.

    Raises:
        ConfigError: a key is unknown or missing or a value does not fit; `section` says where.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"{section}: expected a mapping of settings, got {_shown(tree)}")
    values = dict(tree)
    for field in dataclasses.fields(cls):
        nested = [hint for hint in _alternatives(field.type) if dataclasses.is_dataclass(hint)]
        if nested and isinstance(values.get(field.name), dict):
            values[field.name] = settings_of(f"{section}.{field.name}", nested[0], values[field.name])
    return construct(section, cls, values)


def construct(section: str, cls: type, values: Mapping[str, Any]) -> Any:
    """An object of settings from values that are final; see `settings_of`."""
    try:
        return cls(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_message(section, cls, problem) for problem in _distinct(error))) from None


def _distinct(error: ValidationError) -> list[Any]:
    """One problem per setting: a union reports one for each of its types."""
    return list({problem["loc"][:1]: problem for problem in reversed(error.errors())}.values())[::-1]


def _message(section: str, cls: Any, problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    where = f"{section}.{name}".strip(".") or "experiment"
    if problem["type"] == "unexpected_keyword_argument":
        return f"{where}: unknown key; {suggest(name, [field.name for field in dataclasses.fields(cls)])}"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}"
    if problem["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {problem['msg'].removeprefix('Input ')}, got {_shown(problem['input'])}"


def _alternatives(hint: Any) -> list[Any]:
    """A type and, for unions and annotated types, what it is made of."""
    return [hint, *(nested for part in getattr(hint, "__args__", ()) for nested in _alternatives(part))]


def suggest(name: str, known: list[str], otherwise: str = "") -> str:
    """What a message about an unknown name should say: the nearest known one, or all of them, and what else it may be."""
    near = get_close_matches(name, known, 1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}{otherwise}"


def _shown(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"


def _set(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.replace("-", "_").split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{dotted}: {parent} is a value, not a section, so nothing inside it can be set")
    tree[last] = value
