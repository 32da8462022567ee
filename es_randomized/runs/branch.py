"""Another run from any generation of a run: what is known by then is copied, what comes after follows the new experiment."""

from dataclasses import replace

import jax
import numpy as np

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump, read_yaml, write_yaml
from es_randomized.drivers.driver import Driver
from es_randomized.errors import RunFolderError
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.identity import digest
from es_randomized.runs.restore import first, nearest, restore
from es_randomized.runs.snapshots import all_snapshots
from es_randomized.runs.storage import write_atomically
from es_randomized.strategies.strategy import State


def state_at(folder: RunFolder, driver: Driver, generation: int) -> State:
    """The state before `generation`, from the journal alone; nothing is evaluated.

    Raises:
        RunFolderError: the run has not come that far, or began as a branch after that generation.
    """
    losses = folder.recorded(driver).losses
    if generation > len(losses):
        raise RunFolderError(f"{folder.name} has {len(losses)} generations, so there is no state before {generation}")
    start, state = nearest(folder, driver, generation)
    for number in range(start, generation):
        state = driver.replay(state, number, losses[number])
    return state


def branch(parent: RunFolder, old: Driver, new: Driver, generation: int, target: RunFolder) -> None:
    """Make `target` a run of `new` that shares the generations before `generation` with `parent`.

    Raises:
        RunFolderError: the parent has not come that far, the target exists, or the new driver cannot go on from the
            parent's states or starts elsewhere.
        StorageError: the target cannot be written.
    """
    if new.experiment.start_from != old.experiment.start_from:
        raise RunFolderError("start_from is where a run begins, so a branch cannot change it; train a new run instead")
    state = state_at(parent, old, generation)
    _check_fits(state, new.like(generation))
    if new.losses_per_generation != old.losses_per_generation:
        raise RunFolderError(
            f"a branch shares its parent's journal of {old.losses_per_generation} losses a generation, but the new "
            f"experiment has {new.losses_per_generation}; leave driver.population as it is"
        )
    target.create(new.experiment, parent.start())
    journal = target.open_journal(new.losses_per_generation)
    for number, losses in enumerate(parent.losses()[:generation]):
        journal.append(number, losses)
    journal.close()
    target.save_snapshot(generation, state)
    origin = target.origin()
    origin["branch"] = {"parent": parent.name, "generation": generation, "experiment": dump(old.experiment)}
    target.write_origin(origin)


def grow(folder: RunFolder, driver: Driver, generations: int) -> Experiment:
    """Give a run a larger budget: the experiment it goes on with, a branch of its own in its own folder.

    Schedules reach to the new end from now on, so what came before is known by its last state and is not replayed.

    Raises:
        RunFolderError: the budget is larger already, or the run has phases, whose ends would move.
        StorageError: it cannot be written.
    """
    old = driver.experiment
    if generations <= old.budget.generations:
        raise RunFolderError(
            f"{folder.name} has a budget of {old.budget.generations} generations, which may only grow; {generations} is no more"
        )
    if old.phases:
        raise RunFolderError(
            f"{folder.name} has phases, and with a larger budget their ends would move; train a new run with start_from: "
            f"{folder.name}"
        )
    experiment = replace(old, budget=replace(old.budget, generations=generations))
    text = write_yaml(dump(experiment))
    with folder.lock():
        done, state = restore(folder, driver)
        folder.save_snapshot(done, state)
        origin = folder.origin()
        grown = {"generation": done, "generations": generations, "experiment": digest(read_yaml(text, "experiment"))}
        origin["grown"] = [*origin.get("grown", []), grown]
        folder.write_origin(origin)
        write_atomically(folder.experiment_file, text.encode())
    return experiment


def verify(folder: RunFolder, driver: Driver) -> dict[int, bool]:
    """Recompute all states from the beginning and compare them with the snapshots: generation -> whether bits agree."""
    kept = all_snapshots(folder.snapshots, driver.like)
    losses = folder.recorded(driver).losses
    start, state = first(folder, driver)
    agree = {}
    for generation in range(start, len(losses) + 1):
        if generation in kept:
            agree[generation] = _equal(state, kept[generation])
        if generation < len(losses):
            state = driver.replay(state, generation, losses[generation])
    return agree


def _equal(one: State, other: State) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def _check_fits(state: State, wanted: State) -> None:
    def shapes(tree: State) -> list[object]:
        leaves, structure = jax.tree.flatten(tree)
        return [structure, *((np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves)]

    if shapes(state) != shapes(wanted):
        raise RunFolderError(
            "the new experiment cannot go on from the old one's states: model, driver.kind and the kind of optimizer must "
            "stay, driver.past and answer.average; learning rates, step sizes, objective, batch and budget may change"
        )
