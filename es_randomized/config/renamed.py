"""Keys of older YAML: read as what they are called now, with a line that says so. Entries go after one release.

A path ends in `*` where it stands for every key beside it: `driver.params.*` was once in front of an algorithm's own numbers.
"""

import logging
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from es_randomized.errors import ConfigError

log = logging.getLogger(__name__)

KEYS: dict[str, dict[str, str]] = {
    "experiment": {},
    "sweep": {"room": "resources", "together": "trials_per_process"},
}
OLD_DEFAULTS: dict[
    str, dict[str, object]
] = {  # written into every run folder, also of drivers that know no such setting
    "experiment": {},
    "sweep": {},
}
VALUES: dict[str, dict[str, dict[str, str]]] = {
    "experiment": {},
    "sweep": {},
}


def with_new_names(document: str, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings by the names of this release.

    Args:
        document: what the tree describes, a key of the tables above.

    Raises:
        ConfigError: a setting is there by its old and by its new name.
    """
    renamed: dict[str, Any] = deepcopy(dict(tree))
    for old, new in KEYS[document].items():
        for old_path, new_path in _matches(renamed, old, new):
            _move(renamed, old_path, new_path)
    for path, default in OLD_DEFAULTS[document].items():
        parent, key = _parent(renamed, path)
        if key in parent and parent[key] == default:
            del parent[key]
    for path, words in VALUES[document].items():
        parent, key = _parent(renamed, path)
        if key in parent and isinstance(parent[key], str) and parent[key] in words:
            _say(f"{path}: {parent[key]}", f"{path}: {words[parent[key]]}")
            parent[key] = words[parent[key]]
    return renamed


def _matches(tree: dict[str, Any], old: str, new: str) -> list[tuple[str, str]]:
    parent, key = _parent(tree, old)
    if key == "*":
        return [(f"{old[:-1]}{name}", f"{new[:-1]}{name}") for name in parent]
    return [(old, new)] if key in parent else []


def _move(tree: dict[str, Any], old: str, new: str) -> None:
    parent, key = _parent(tree, old)
    new_parent, new_key = _parent(tree, new, make=True)
    if new_key in new_parent:
        raise ConfigError(f"{old} is the old name of {new}, and both are given; leave out {old}")
    _say(old, new)
    new_parent[new_key] = parent.pop(key)


def _parent(tree: dict[str, Any], path: str, make: bool = False) -> tuple[dict[str, Any], str]:
    """The mapping that holds a setting, and the setting's own key. Where there is none an empty one, put there if `make`."""
    *sections, key = path.split(".")
    for section in sections:
        inner = tree.setdefault(section, {}) if make else tree.get(section)
        tree = inner if isinstance(inner, dict) else {}
    return tree, key


def _say(old: str, new: str) -> None:
    log.warning("%s is now called %s; the old name will be refused after this release", old, new)
