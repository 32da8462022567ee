"""Overrides on the command line: --driver.population 256 or --driver.population=256, or a whole section, --phases '[]'."""

from dataclasses import fields

import click

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import read_yaml

SECTIONS = {field.name for field in fields(Experiment)}


def parse_overrides(arguments: list[str]) -> dict[str, object]:
    """Settings from leftover command-line arguments; values are read as YAML.

    Raises:
        click.UsageError: an argument is neither a dotted setting nor a section, or lacks its value.
    """
    overrides: dict[str, object] = {}
    remaining = iter(arguments)
    for argument in remaining:
        name, given, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or ("." not in name and name.replace("-", "_") not in SECTIONS):
            raise click.UsageError(f"{argument}: no such option; settings look like --driver.population 256")
        if not given:
            following = next(remaining, None)
            if following is None:
                raise click.UsageError(f"{argument}: a value is missing, as in {argument} 256")
            value = following
        overrides[name] = read_yaml(value, argument)
    return overrides
