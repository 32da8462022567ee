"""`@settings`: frozen dataclasses of plain numbers that check their own values.

Every part of an experiment (task, model, objective, driver, ...) is one such class, and the object built from a
configuration file *is* the task, model or objective: there is no second class to keep in step.
"""

from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[T]) -> type[T]:
    """Make `cls` a frozen keyword-only dataclass with strict types, checked ranges and no unknown fields."""
    made: Any = dataclass(cls, frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
    return made
