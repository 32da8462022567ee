"""Keys of older YAML: read as what they are called now, with a line that says so."""

import logging
from collections.abc import Mapping

from es_randomized.errors import ConfigError

log = logging.getLogger(__name__)


def with_new_names(tree: Mapping[str, object], new_names: Mapping[str, str]) -> dict[str, object]:
    """The same settings by the names of this release.

    Args:
        new_names: by the old ones; entries go after one release.

    Raises:
        ConfigError: a setting is there by its old and by its new name.
    """
    renamed = dict(tree)
    for old, new in new_names.items():
        if old in renamed:
            if new in renamed:
                raise ConfigError(f"{old} is the old name of {new}, and both are given; leave out {old}")
            log.warning("%s is now called %s; the old name will be refused after this release", old, new)
            renamed[new] = renamed.pop(old)
    return renamed
