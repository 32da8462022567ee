"""`@settings`: frozen dataclasses of plain numbers that check their own values.

Every part of an experiment (task, model, objective, driver, ...) is one such class, and the object built from a
configuration file *is* the task, model or objective: there is no second class to keep in step.
"""

import dataclasses
from typing import Any, ClassVar, TypeVar, dataclass_transform

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[T]) -> type[T]:
    """Make `cls` a frozen keyword-only dataclass with strict types, checked ranges and no unknown fields.

    A field of such a class takes an object of it, or a mapping of its settings.
    """

    def with_mappings(made: type[T], source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        return schema | {"strict": False} if schema["type"] == "dataclass" else schema  # its fields stay strict

    cls.__get_pydantic_core_schema__ = classmethod(with_mappings)  # type: ignore[attr-defined]
    made: Any = dataclass(cls, frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
    return made


@dataclasses.dataclass(frozen=True)
class PartOfKind:
    """Marks a field of a part that holds another part: an object, or in YAML a mapping of its kind and settings.

    What a kind means is known above this layer; whoever reads YAML says it, as `object_of` of the context.
    """

    section: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        def validated(value: object, info: Any) -> object:
            if isinstance(value, source):
                return value
            if not info.context:
                raise ValueError(f"expected an object of class {source.__name__}, such as one of its kinds makes")
            return info.context["object_of"](self.section, value)

        return core_schema.with_info_plain_validator_function(validated)


@settings
class DriverSettings:
    """What the section `driver:` says of every driver.

    Attributes:
        kind: name of a strategy or a driver, or the module of one of your own.
        distributed: whether members may be evaluated anywhere.
    """

    kind: str

    distributed: ClassVar[bool] = False

    def without_arguments(self) -> "DriverSettings":
        """These settings, one and the same value in place of every number that compiled programs take as an argument."""
        return self
