"""The keys of a section `driver:` against the strategy it names: those of before are renamed, another strategy's are refused."""

import dataclasses
import logging
from collections.abc import Mapping

from es_randomized.errors import ConfigError
from es_randomized.strategies.catalogue import named, names
from es_randomized.strategies.strategy import Strategy

# Every strategy had all of these before, and run folders keep every default: they say nothing of a strategy without them.
NOTHING_SAID = {"noise": ("normal",), "rank": (None,), "past": ("projection",), "shaping": ("default", "identity")}

log = logging.getLogger(__name__)


def current(strategy: type[Strategy], section: Mapping[str, object]) -> dict[str, object]:
    """The section `driver:` with the keys that `strategy` has today; keys of before are renamed, with a note.

    Raises:
        ConfigError: a key is an option of other strategies only; the message says of which.
    """
    fields = {field.name: field.default for field in dataclasses.fields(strategy.Settings)}
    values = dict(section)
    numbers = values.pop("params", None)
    if isinstance(numbers, dict) and numbers:
        log.warning("driver.params: is no section any more; write %s directly under driver:", ", ".join(numbers))
        for name, value in numbers.items():
            own = "std" if name == "std_init" else name
            values[own] = int(value) if isinstance(fields.get(own), int) else value
    if values.get("noise") == "signs":
        log.warning("driver.noise: signs is called rademacher now")
        values["noise"] = "rademacher"
    others = [name for name in values if name not in fields]
    for name in others:
        if values[name] in NOTHING_SAID.get(name, ()):
            del values[name]
        elif having := _having(name):
            raise ConfigError(
                f"driver.{name}: {section.get('kind')} has no such option; leave it out, or use a strategy that has it: "
                f"{', '.join(having)}"
            )
    return values


def _having(option: str) -> list[str]:
    """The strategies that have it."""
    return [kind for kind in names() if (cls := named(kind)) and option in _names(cls)]


def _names(strategy: type[Strategy]) -> list[str]:
    return [field.name for field in dataclasses.fields(strategy.Settings)]
