"""Where a run is: a folder here or an address, s3://bucket/folder for example. Either way it is used through a run folder."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from es_randomized.runs.folder import RunFolder

RunLocation = Path | str | RunFolder


def is_address(location: RunLocation) -> bool:
    """Whether it is a URL and no folder of this machine."""
    return isinstance(location, str) and "://" in location


def new_run(location: RunLocation) -> AbstractContextManager[RunFolder]:
    """The run folder of a run to be made."""
    if not is_address(location):
        return _here(location)
    from es_randomized.runs.remote import working_copy

    return working_copy.new_run(str(location))


def training(location: RunLocation) -> AbstractContextManager[RunFolder]:
    """The run folder of a run to go on with."""
    if not is_address(location):
        return _here(location)
    from es_randomized.runs.remote import working_copy

    return working_copy.training(str(location))


def reading(location: RunLocation, results: bool = False) -> AbstractContextManager[RunFolder]:
    """The run folder of a run to look at, or also to write results of its evaluation into."""
    if not is_address(location):
        return _here(location)
    from es_randomized.runs.remote import working_copy

    return working_copy.reading(str(location), results)


def _here(location: RunLocation) -> AbstractContextManager[RunFolder]:
    return nullcontext(location if isinstance(location, RunFolder) else RunFolder(Path(location)))
