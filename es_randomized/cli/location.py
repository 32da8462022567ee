"""The argument that says where a run is: a folder here or an address, s3://bucket/folder for example."""

import re
from pathlib import Path

import click

from es_randomized.runs.location import is_address


class LocationType(click.ParamType):
    """A path, or the text of an address, which as a path would lose one of its slashes."""

    name = "path"

    def convert(self, value: Path | str, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Raises click.BadParameter where an address is mistyped."""
        if isinstance(value, Path) or is_address(value):
            return value
        if scheme := re.match(r"(s3|gs|file):/*", value):
            self.fail(f"{value}: did you mean {scheme[1]}://{value[scheme.end() :]}?", param, ctx)
        return Path(value)


LOCATION = LocationType()
