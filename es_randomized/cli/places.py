"""Where a run is: a folder here or an address, s3://bucket/folder for example. Commands get a run folder either way."""

import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

RunLocation = Path | str


class PlaceType(click.ParamType):
    """A path, or the text of an address, which as a path would lose one of its slashes."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RunLocation:
        """Raises click.BadParameter where an address is mistyped."""
        if isinstance(value, Path) or "://" in value:
            return value
        if scheme := re.match(r"(s3|gs|file):/*", value):
            self.fail(f"{value}: did you mean {scheme[1]}://{value[scheme.end() :]}?", param, ctx)
        return Path(value)


RUN_LOCATION = PlaceType()


def new_run(place: RunLocation) -> AbstractContextManager[Any]:
    """The run folder of a run to be made."""
    if isinstance(place, Path):
        return _here(place)
    from es_randomized.runs.remote import working_copy

    return working_copy.new_run(place)


def training(place: RunLocation) -> AbstractContextManager[Any]:
    """The run folder of a run to go on with."""
    if isinstance(place, Path):
        return _here(place)
    from es_randomized.runs.remote import working_copy

    return working_copy.training(place)


def reading(place: RunLocation, results: bool = False) -> AbstractContextManager[Any]:
    """The run folder of a run to look at, or also to write results of its evaluation into."""
    if isinstance(place, Path):
        return _here(place)
    from es_randomized.runs.remote import working_copy

    return working_copy.reading(place, results)


def _here(path: Path) -> AbstractContextManager[Any]:
    from es_randomized.runs.folder import RunFolder

    return nullcontext(RunFolder(path))
