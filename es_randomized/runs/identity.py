"""What a run is a run of: the hash of its experiment and those of the user's own files, kept beside its states."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import PACKAGE, class_of
from es_randomized.errors import RunFolderError

WITHOUT = "evaluation"  # decides no weights, so it may be changed


def digest(tree: Mapping[str, Any]) -> str:
    """Of an experiment as it stands in experiment.yaml: whatever decides the run changes it."""
    deciding = {name: value for name, value in tree.items() if name != WITHOUT}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def tag_of(digest: str | None) -> int:
    """The 32 bits of a digest that stand in the journal; 0 is for runs of before."""
    return 0 if digest is None else int(digest[:8], 16) or 1


def experiments_of(origin: Mapping[str, Any]) -> list[str]:
    """The hashes of a run's experiment by its provenance, one for every budget it had; none in runs of before."""
    first = origin.get("experiment")
    return [first, *(each["experiment"] for each in origin.get("grown", []))] if first else []


def changed_experiment(run: str, is_checkpoint: bool) -> RunFolderError:
    """What to say where experiment.yaml is not what the run began with."""
    if is_checkpoint:
        return RunFolderError(
            f"experiment.yaml in {run} was changed since the checkpoint was made; get the checkpoint again"
        )
    return RunFolderError(
        f"experiment.yaml in {run} was changed since the run began, which would make it another run; undo that. Other settings "
        f"make a run of their own: es-randomized branch {run} --at GENERATION. Only the budget may grow: es-randomized resume "
        f"{run} --budget.generations N"
    )


def changed_files(run: str, then: Mapping[str, str], now: Mapping[str, str]) -> RunFolderError:
    """What to say where files of the user's own are not what the run began with."""
    changed = ", ".join(sorted(name for name in {**then, **now} if then.get(name) != now.get(name)))
    return RunFolderError(
        f"the file of {changed} was changed since {run} began, so its weights and what follows would be of different code; "
        f"undo that, or go on all the same: es-randomized resume {run} --changed-files"
    )


def own_files(experiment: Experiment) -> dict[str, str]:
    """The hash of every file that defines a kind of the user's own, by the name of its module."""
    modules = {type(part).__module__ for part in _settings_in(experiment)}
    modules |= {class_of("driver", part.driver.kind).__module__ for part in (experiment, *experiment.by_phase)}
    files = {name: getattr(sys.modules[name], "__file__", None) for name in sorted(modules) if not _ours(name)}
    return {name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for name, file in files.items() if file}


def _ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _settings_in(value: Any) -> Iterator[Any]:
    """All settings objects, those inside others too."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _settings_in(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _settings_in(part)
