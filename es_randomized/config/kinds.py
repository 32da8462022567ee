"""Extensions: a kind that is no name of this package names a module of yours, and the one class in it is meant."""

import inspect
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TypeVar

from es_randomized.errors import ConfigError
from es_randomized.strategies.catalogue import named, names
from es_randomized.strategies.strategy import Strategy

T = TypeVar("T")

WHERE = "a module of your own, a file in the current folder or in one on PYTHONPATH"


def is_module(kind: str) -> bool:
    """Whether `kind` can only mean a module: it has a dot, as in folder.my_task, or a module of that name can be found."""
    if "." in kind:
        return True
    try:
        return kind.isidentifier() and find_spec(kind) is not None
    except ValueError:  # a module without a specification, such as __main__
        return False


def class_of(section: str, kind: str) -> type[Strategy]:
    """The strategy that a kind means: one of the package, or the one in a module of the user's.

    Raises:
        ConfigError: nothing is called so, it is refused, or the module does not define one whole strategy.
    """
    if strategy := named(kind):
        return strategy
    if is_module(kind):
        return only_class(kind, Strategy, f"{section}.kind")  # type: ignore[type-abstract]
    near = get_close_matches(kind, ["gradient", *names()], 1)
    hint = f"did you mean {near[0]}?" if near else f"`es-randomized strategies` lists them; or {WHERE}"
    raise ConfigError(f"{section}.kind: no driver is called {kind!r}; {hint}")


def only_class(module: str, base: type[T], setting: str) -> type[T]:
    """The one class derived from `base` that `module` defines.

    Args:
        setting: what named the module, for messages, such as task.kind.

    Raises:
        ConfigError: there is no such module, it cannot be imported, or it has no such class, several, or an unfinished one.
    """
    made = _imported(module, setting)
    found = [
        value
        for value in vars(made).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == made.__name__
    ]
    if len(found) != 1:
        names = ", ".join(cls.__name__ for cls in found) or "none"
        raise ConfigError(
            f"{setting}: {made.__file__} should define one class derived from {base.__name__}, not {names}"
        )
    if inspect.isabstract(found[0]):
        missing = ", ".join(sorted(vars(found[0])["__abstractmethods__"]))
        raise ConfigError(
            f"{setting}: {found[0].__name__} in {made.__file__} lacks what every {base.__name__} has: {missing}"
        )
    return found[0]


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
