"""How a run is picked up again: from the newest snapshot that is whole, and the journal after it."""

import logging
from collections.abc import Callable

from es_randomized.drivers.driver import Driver
from es_randomized.errors import RunFolderError
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.identity import experiments_of
from es_randomized.runs.snapshots import all_snapshots, newest_snapshot
from es_randomized.runs.start import read_start
from es_randomized.strategies.strategy import PartsOf, State

log = logging.getLogger(__name__)


def restore(
    folder: RunFolder,
    driver: Driver,
    parts_of: PartsOf | None = None,
    replayed: Callable[[int, State], None] | None = None,
) -> tuple[int, State]:
    """The next generation and the state before it: the newest snapshot, then the journal replayed, exactly.

    Args:
        parts_of: where to compute the parts of updates; here by default.
        replayed: called with every generation that is replayed and the state after it.

    Raises:
        RunFolderError: the journal is of another population or experiment, or the experiment or a file of the user's own
            was changed since the run began.
    """
    folder.refuse_checkpoint()
    if not folder.journal_file.exists():
        if kept := sorted(folder.snapshots.glob("[0-9]*.safetensors")):
            raise RunFolderError(
                f"{folder.journal_file} is missing, though {kept[-1].name} shows that this run was trained; put it back, or "
                f"delete {folder.snapshots} to train from the beginning"
            )
        folder.open_journal(driver.losses_per_generation).close()
    folder.check_origin(driver.experiment)
    recorded = folder.recorded(driver)
    if recorded.damaged:
        log.warning("the journal's last %d bytes are not a whole record and are cut", recorded.damaged)
    start, state = nearest(folder, driver, len(recorded.losses))
    for generation in range(start, len(recorded.losses)):
        state = driver.replay(state, generation, recorded.losses[generation], parts_of)
        if replayed:
            replayed(generation, state)
    log.info("restored generation %d from snapshot %d and the journal", len(recorded.losses), start)
    return len(recorded.losses), state


def nearest(folder: RunFolder, driver: Driver, generation: int) -> tuple[int, State]:
    """The newest state that is kept and not past `generation`: (its generation, state).

    Raises:
        RunFolderError: a branch has lost the state it began with.
    """
    kept = newest_snapshot(folder.snapshots, driver.like, generation, experiments_of(folder.origin()))
    newest = kept or (0, _beginning(folder, driver))
    if newest[0] < (began := _branched_at(folder)):
        what = "is a branch that began" if "branch" in folder.origin() else "got a larger budget"
        raise RunFolderError(
            f"{folder.name} {what} before generation {began}, and no state from there to {generation} is left in its "
            "snapshots; branch again from its parent, named in provenance.json, or train it anew"
        )
    return newest


def first(folder: RunFolder, driver: Driver) -> tuple[int, State]:
    """The earliest state from which the journal leads on: generation 0, or a branch's oldest snapshot."""
    began = _branched_at(folder)
    if not began:
        return 0, _beginning(folder, driver)
    kept = all_snapshots(folder.snapshots, driver.like)
    later = [item for item in kept.items() if item[0] >= began]
    return min(later, key=lambda item: item[0]) if later else nearest(folder, driver, began)


def _beginning(folder: RunFolder, driver: Driver) -> State:
    """The state before generation 0."""
    return driver.start(read_start(folder.start_file).weights) if driver.experiment.start_from else driver.init()


def _branched_at(folder: RunFolder) -> int:
    """The generation this run's experiment begins at: 0 unless it is a branch or its budget grew."""
    origin = folder.origin()
    return max([0, *(int(each["generation"]) for each in (origin.get("branch"), *origin.get("grown", [])) if each)])
