"""Groups: runs that differ only in their seed are one group, because their differences are chance."""

import dataclasses
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump
from es_randomized.errors import ConfigError
from es_randomized.runs.folder import RunFolder

SEPARATORS = "-_/. "


@dataclass(frozen=True)
class Group:
    """Runs of one experiment with different seeds.

    Attributes:
        name: what their folders' names have in common.
        runs: by seed, in the order they were named.
        experiment: of the first of them.
    """

    name: str
    runs: dict[int, RunFolder]
    experiment: Experiment


def grouped(folders: list[RunFolder]) -> list[Group]:
    """Groups in the order of their first runs; a folder that is named twice counts once.

    Raises:
        RunFolderError: a folder holds no run.
        ConfigError: two folders hold runs of one experiment with one seed, or the runs are of several tasks.
    """
    unique = list({folder.path.resolve(): folder for folder in folders}.values())
    groups: list[Group] = []
    for folder in unique:
        experiment = folder.experiment()
        group = next((g for g in groups if comparable(g.experiment) == comparable(experiment)), None)
        if group is None:
            group = Group("", {}, experiment)
            groups.append(group)
        _refuse_other(group, groups[0], folder, experiment)
        group.runs[experiment.seed] = folder
    names = _names([[folder.path for folder in group.runs.values()] for group in groups])
    return [dataclasses.replace(group, name=name) for group, name in zip(groups, names, strict=True)]


def comparable(experiment: Experiment) -> dict[str, Any]:
    """What has to agree: not the seed, nor how generations are cut up, which follows the machine."""
    return dump(dataclasses.replace(experiment.without_plan, seed=0))


def _refuse_other(group: Group, first: Group, folder: RunFolder, experiment: Experiment) -> None:
    """Refuse what would count one training twice, or compare numbers of different meaning."""
    if experiment.seed in group.runs:
        raise ConfigError(
            f"{group.runs[experiment.seed].name} and {folder.name} are the same experiment with the same seed "
            f"{experiment.seed}, so they are one run; leave one of them out"
        )
    if experiment.task != first.experiment.task:
        raise ConfigError(
            f"{folder.name} has another task than {next(iter(first.runs.values())).name}, so their numbers mean different "
            "things; name runs of one task"
        )


def _names(groups: list[list[Path]]) -> list[str]:
    """What the folders of a group have in common: their own names, or else where they are as well."""
    every = [path.resolve() for paths in groups for path in paths]
    above = Path(os.path.commonpath([path.parent for path in every]))
    full = [[path.resolve().relative_to(above).as_posix() for path in paths] for paths in groups]
    for labels in ([[path.resolve().name for path in paths] for paths in groups], full):
        names = [_in_common(of_group) for of_group in labels]
        if all(names) and len(set(names)) == len(names):
            return names
    return [paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "") for paths in full]


def _in_common(labels: list[str]) -> str:
    """How several labels begin, without the word seed, which is where they differ; a single one as it is."""
    if len(labels) == 1:
        return labels[0].rstrip(SEPARATORS)
    alike = itertools.takewhile(lambda characters: len(set(characters)) == 1, zip(*labels, strict=False))
    beginning = "".join(characters[0] for characters in alike).rstrip(SEPARATORS)
    shorter = re.sub(rf"[{SEPARATORS}]+seed\d*$", "", beginning)
    return shorter or beginning
