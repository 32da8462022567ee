"""What is wrong with a tree of settings, in one line per mistake: where it is, what was expected, what came."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, get_args, get_type_hints

from pydantic import ValidationError

from es_randomized.config.kinds import OfKind, names
from es_randomized.errors import shown, suggest
from es_randomized.settings import PartOfKind


class Place(NamedTuple):
    """Where a problem is.

    Attributes:
        path: keys that lead to it.
        hint: type of the setting there; None where there is no such setting.
        known: settings beside it.
    """

    path: tuple[str, ...]
    hint: Any
    known: list[str]


def messages(error: ValidationError, cls: type[Any], tree: object, where: str = "") -> str:
    """The mistakes that pydantic found in `tree`, the settings of `cls`.

    Args:
        where: begins the name of every setting.
    """
    texts: dict[tuple[str, ...], str] = {}
    for problem in error.errors():
        place = _place(cls, tree, problem)
        texts.setdefault(place.path, _message(".".join([where, *place.path]).strip("."), place, problem))
    # Of a setting that may be a number or a mapping, a given mapping is meant: what is wrong inside it counts.
    outer = {path[:end] for path in texts for end in range(len(path))}
    return "\n".join(text for path, text in texts.items() if path not in outer)


def _message(where: str, place: Place, problem: Any) -> str:
    match problem["type"]:
        case "unexpected_keyword_argument":
            return f"{where}: unknown key; {suggest(place.path[-1], place.known)}"
        case "value_error":
            return f"{where or 'experiment'}: {problem['ctx']['error']}"
        case "missing":
            return f"{where}: missing{_examples(where, place.hint)}"
        case "dataclass_type":
            return f"{where}: expected a mapping of settings; got {shown(problem['input'])}"
        case _:
            return f"{where}: {problem['msg'].removeprefix('Input ')}, got {shown(problem['input'])}"


def _examples(where: str, hint: Any) -> str:
    kinds = [kind for part in _parts(hint) if isinstance(part, OfKind) for kind in names(part.section)]
    return f"; name one of {', '.join(kinds)}, for example {where}: {{kind: {kinds[0]}}}" if kinds else ""


def _place(cls: type[Any] | None, tree: Any, problem: Any) -> Place:
    """Where a problem is. Pydantic's path also names types, where a setting may have several; they are left out."""
    place = Place((), None, [])
    for item in problem["loc"]:
        given = item in (range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, Mapping) else ())
        if not given and (problem["type"] != "missing" or item != problem["loc"][-1]):
            continue
        hint = get_type_hints(cls, include_extras=True).get(item) if cls else None
        place = Place((*place.path, str(item)), hint, [field.name for field in fields(cls)] if cls else [])
        tree = tree[item] if given else None
        cls = _settings_in(hint, tree) if hint else cls  # no hint: an entry of a list or of a mapping of such settings
    return place


def _settings_in(hint: Any, tree: object) -> type[Any] | None:
    """The settings class that a setting of this type takes, if it takes one."""
    parts = list(_parts(hint))
    for part in parts:
        if isinstance(part, OfKind | PartOfKind):
            return OfKind(part.section).settings_class(tree) if isinstance(tree, Mapping) else None
    return next((part for part in parts if isinstance(part, type) and is_dataclass(part)), None)


def _parts(hint: Any) -> Iterator[Any]:
    """A type and, for unions and annotated types, what it is made of."""
    yield hint
    for part in get_args(hint):
        yield from _parts(part)
