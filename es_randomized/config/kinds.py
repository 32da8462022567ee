"""The one rule of every `kind:`: a name of this package, else a module of the user's own with one class in it.

A name of the package is a file in the folder of its section: `task: {kind: cycle_colouring}` means the class in
es_randomized/tasks/cycle_colouring.py. So a new kind is a new file, here or anywhere Python finds it, and touches no other.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from traceback import extract_tb
from types import ModuleType
from typing import Any

from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic_core import CoreSchema, core_schema

from es_randomized.errors import ConfigError, shown, suggest

PACKAGE = "es_randomized"
WHERE = "a module of your own, a file in the current folder or in one on PYTHONPATH"


@dataclass(frozen=True)
class Section:
    """Where the kinds of a section are; dotted names within the package, imported only when a kind is resolved.

    Attributes:
        folder: its files are the names of the package.
        bases: a kind's module has one class derived from one of these.
        default: the kind where none is given; none: it must be given.
        catalogue: a module with names that are no files: `names()` lists them, `named(kind)` is the class of one, or None.
        configured: classes have settings.
    """

    folder: str
    bases: tuple[str, ...]
    default: str | None = None
    catalogue: str | None = None
    configured: bool = True


SECTIONS = {
    "task": Section("tasks", ("tasks.task.Task",)),
    "model": Section("models", ("models.model.Model",), default="transformer"),
    "objective": Section("objectives", ("objectives.objective.Objective",)),
    "driver": Section(
        "drivers",
        ("drivers.driver.Driver", "strategies.strategy.Strategy"),
        default="Open_ES",
        catalogue="strategies.catalogue",
    ),
    "tracker": Section("tracking", ("tracking.tracker.Tracker",), configured=False),
    "search": Section("trials.searches", ("trials.search.Search",), default="grid"),
}


def class_of(section: str, kind: str, setting: str = "") -> type[Any]:
    """The class that a kind means.

    Args:
        setting: what named it, for messages; by default the section's `kind`.

    Raises:
        ConfigError: nothing is called so, or the module cannot be imported or has no such class, several, or an unfinished one.
    """
    place, setting = SECTIONS[section], setting or f"{section}.kind"
    if place.catalogue and (named := import_module(f"{PACKAGE}.{place.catalogue}").named(kind)):
        return named
    if len(own := _classes_in_file(place, kind)) == 1:
        return own[0]
    if not is_module(kind):
        raise ConfigError(
            f"{setting}: no {section} is called {kind!r}; {suggest(kind, names(section), f'; or {WHERE}')}"
        )
    return only_class(kind, _bases(place), setting)


def kind_of(value: object) -> str:
    """The kind that means the class of an object."""
    module = type(value).__module__
    return module.rpartition(".")[2] if module.startswith(f"{PACKAGE}.") else module


def names(section: str) -> list[str]:
    """Every kind of a section that this package has."""
    place = SECTIONS[section]
    files = iter_modules(import_module(f"{PACKAGE}.{place.folder}").__path__)
    listed = import_module(f"{PACKAGE}.{place.catalogue}").names() if place.catalogue else []
    return sorted(file.name for file in files if len(_classes_in_file(place, file.name)) == 1) + listed


@dataclass(frozen=True)
class OfKind:
    """Marks a field of settings whose class a kind names: it takes an object, or a mapping of a kind and its settings."""

    section: str

    def settings_class(self, tree: object) -> type[Any]:
        """The settings that a mapping is about: `Settings` of the class of its kind, or else that class itself."""
        return self._classes_of(tree)[1]

    def _classes_of(self, tree: object) -> tuple[type[Any], type[Any]]:
        """The class of its kind, and its settings."""
        place = SECTIONS[self.section]
        if not isinstance(tree, Mapping) or ("kind" not in tree and not place.default):
            wanted = "of settings" if place.default else f"with a kind, one of {', '.join(names(self.section))}"
            raise ConfigError(f"{self.section}: expected a mapping {wanted}; got {shown(tree)}")
        kind = tree.get("kind", place.default)
        if not isinstance(kind, str):
            raise ConfigError(f"{self.section}.kind: should be a name, got {shown(kind)}")
        cls = class_of(self.section, kind)
        settings = _settings_of(cls)
        if settings is None:
            raise ConfigError(
                f"{self.section}.kind: {cls.__name__} has no settings; write @settings above it (es_randomized.settings)"
            )
        return cls, settings

    def object_of(self, tree: Any) -> Any:
        """The settings object of a mapping. It keeps its kind where it has a field for it.

        A class may read its settings itself, with `read_settings`.

        Raises:
            ConfigError: see `class_of`.
            pydantic.ValidationError: a setting does not fit.
        """
        cls, settings = self._classes_of(tree)
        values = {"kind": SECTIONS[self.section].default, **tree}
        if "kind" not in {field.name for field in fields(settings)}:
            del values["kind"]
        if own := getattr(cls, "read_settings", None):
            return own(values)
        return TypeAdapter(settings).validate_python(values, context={"object_of": _object_of})

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        def validated(value: object) -> object:
            return value if isinstance(value, source) else self.object_of(value)

        return core_schema.no_info_plain_validator_function(validated)


def _object_of(section: str, tree: object) -> Any:
    """The part that a mapping inside of another part's settings describes."""
    return OfKind(section).object_of(tree)


def is_module(kind: str) -> bool:
    """Whether `kind` can only mean a module: it has a dot, as in folder.my_task, or a module of that name can be found."""
    if "." in kind:
        return True
    try:
        return kind.isidentifier() and find_spec(kind) is not None
    except ValueError:  # a module without a specification, such as __main__
        return False


def only_class(module: str, bases: tuple[type[Any], ...], setting: str) -> type[Any]:
    """The one class derived from one of `bases` that `module` defines.

    Args:
        setting: what named the module, for messages, such as task.kind.

    Raises:
        ConfigError: there is no such module, it cannot be imported, or it has no such class, several, or an unfinished one.
    """
    imported = _imported(module, setting)
    classes, wanted = _classes(imported, bases), " or ".join(base.__name__ for base in bases)
    if len(classes) != 1:
        defined = ", ".join(cls.__name__ for cls in classes) or "none"
        raise ConfigError(
            f"{setting}: {imported.__file__} should define one class derived from {wanted}, not {defined}"
        )
    if inspect.isabstract(classes[0]):
        missing = ", ".join(sorted(vars(classes[0])["__abstractmethods__"]))
        base = next(base.__name__ for base in bases if issubclass(classes[0], base))
        raise ConfigError(
            f"{setting}: {classes[0].__name__} in {imported.__file__} lacks what every {base} has: {missing}"
        )
    return classes[0]


def _bases(place: Section) -> tuple[type[Any], ...]:
    split = [f"{PACKAGE}.{base}".rpartition(".") for base in place.bases]
    return tuple(getattr(import_module(module), name) for module, _, name in split)


def _classes_in_file(place: Section, name: str) -> list[type[Any]]:
    """Finished classes in a file of the section's folder; none where there is no such file."""
    module = f"{PACKAGE}.{place.folder}.{name}"
    if not name.isidentifier() or find_spec(module) is None:
        return []
    classes = [cls for cls in _classes(import_module(module), _bases(place)) if not inspect.isabstract(cls)]
    return [cls for cls in classes if _settings_of(cls) or not place.configured]


def _settings_of(cls: type[Any]) -> type[Any] | None:
    settings = getattr(cls, "Settings", cls)
    return settings if is_pydantic_dataclass(settings) else None


def _classes(module: ModuleType, bases: tuple[type[Any], ...]) -> list[type[Any]]:
    """Public classes derived from one of `bases` that a module itself defines."""
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    return [cls for cls in own if issubclass(cls, bases) and not cls.__name__.startswith("_")]


def _imported(name: str, setting: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")) or name.endswith(".py"):
        raise ConfigError(f"{setting}: {name!r} is no name of a module; own/my_part.py is called own.my_part")
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{setting}: there is no module {error.name}; {name} should be {WHERE}") from None
        raise ConfigError(f"{setting}: {name} imports {error.name}, which is not installed") from error
    except Exception as error:
        raise ConfigError(f"{setting}: {name} raised {type(error).__name__}{_line(error, name)}: {error}") from error


def _line(error: Exception, module: str) -> str:
    """Where in the module it was raised; a SyntaxError says so itself."""
    file = f"{module.rpartition('.')[2]}.py"
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if Path(frame.filename).name == file]
    return f" in line {lines[-1]}" if lines else ""
