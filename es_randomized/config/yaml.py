"""Experiments as text: strict YAML in, one clear message where it does not fit, and the same YAML out again."""

import dataclasses
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import kind_of
from es_randomized.config.messages import messages
from es_randomized.config.phase import Phase, differences, with_whole_sections
from es_randomized.errors import ConfigError, shown
from es_randomized.models.model import Model

T = TypeVar("T")
MOST = 100_000  # values in a file; aliases of aliases describe a billion in ten lines
GIVE_A_PATH = "; give the path of a YAML file"


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
        raise ConfigError(f"{source}: expected sections such as task: and driver:, got {shown(tree)}")
    check_names(tree, source)
    for dotted, value in (overrides or {}).items():
        _set(tree, dotted, value)
    return build(tree)


def build(tree: Mapping[str, Any]) -> Experiment:
    """The experiment of a nested mapping, as `dump` makes it."""
    return settings_of("", Experiment, with_whole_sections(tree) if isinstance(tree, Mapping) else tree)


def dump(experiment: Experiment) -> dict[str, Any]:
    """The experiment as nested plain data, every default written out; of its phases what differs from its sections."""
    tree = _with_kinds(experiment)
    phases = [differences(_with_kinds(phase), tree) for phase in experiment.phases]
    return {name: value for name, value in tree.items() if name != "phases"} | ({"phases": phases} if phases else {})


def _with_kinds(parts: Experiment | Phase) -> dict[str, Any]:
    tree = dataclasses.asdict(parts)
    for section in ("task", "model", "objective"):
        if tree.get(section) is not None:
            tree[section] = _with_kind(getattr(parts, section), tree[section])
    return tree


def _with_kind(part: Any, tree: dict[str, Any]) -> dict[str, Any]:
    """The settings of a part with its kind, and with those of the models inside of it."""
    inside = {name: value for name in tree if isinstance(value := getattr(part, name), Model)}
    return {"kind": kind_of(part), **tree, **{name: _with_kind(model, tree[name]) for name, model in inside.items()}}


def changed(experiment: Experiment, overrides: Mapping[str, object]) -> Experiment:
    """The experiment with other values of some dotted settings.

    Raises:
        ConfigError: there is no such setting, or the value does not fit.
    """
    return parse(write_yaml(dump(experiment)), overrides)


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
        tree = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested deeper than any settings are") from None
    except ValueError as error:  # a 13th month, a number of thousands of digits
        raise ConfigError(f"{source}: not valid YAML: {error}") from None
    if _size(tree, {}) > MOST:
        raise ConfigError(f"{source}: more than {MOST:,} values, or one that holds itself by an alias (*)")
    return tree


def _size(tree: Any, sizes: dict[int, int]) -> int:
    """How many values there are in plain data; too many where one holds itself."""
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) not in sizes:
        sizes[id(tree)] = MOST + 1  # to whoever meets it inside of itself
        sizes[id(tree)] = 1 + sum(_size(inner, sizes) for inner in (tree.values() if isinstance(tree, dict) else tree))
    return sizes[id(tree)]


def check_names(tree: Any, source: str) -> None:
    """Raises ConfigError if a name in plain data is no text, as in `5: 3`."""
    for key in _keys(tree):
        if not isinstance(key, str):
            raise ConfigError(
                f"{source}: the names of settings are text, but there is {shown(key)}; in quotes it is text"
            )


def _keys(tree: Any) -> Iterator[Any]:
    """Of all mappings in plain data."""
    if isinstance(tree, dict):
        yield from tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _keys(inner)


def settings_of(where: str, cls: type[T], tree: object) -> T:
    """The settings object of a mapping; values may be settings objects already.

    Args:
        where: begins the name of every setting in messages.

    Raises:
        ConfigError: a key is unknown or missing or a value does not fit.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: expected a mapping of settings; got {shown(tree)}")
    try:
        return TypeAdapter(cls).validate_python(dict(tree))
    except ValidationError as error:
        raise ConfigError(messages(error, cls, tree, where)) from None


def _set(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.replace("-", "_").split(".")
    section: Any = tree
    for parent in parents:
        section = _entry(section, parent, dotted) if isinstance(section, list) else section.setdefault(parent, {})
        if not isinstance(section, dict | list):
            raise ConfigError(f"{dotted}: {parent} is a value, not a section, so nothing inside it can be set")
    if isinstance(section, list):
        raise ConfigError(f"{dotted}: name what to set inside of it, as in {dotted}.share")
    section[last] = value


def _entry(entries: list[Any], number: str, dotted: str) -> Any:
    if not number.isdecimal() or int(number) >= len(entries):
        raise ConfigError(f"{dotted}: there are {len(entries)} entries, 0 to {len(entries) - 1}; there is no {number}")
    return entries[int(number)]
