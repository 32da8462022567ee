"""Snapshots: the driver's state before a generation, as safetensors (data, never code), newest two kept."""

from pathlib import Path

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from es_randomized.runs.storage import write_atomically
from es_randomized.strategies.strategy import State

KEPT = 2


def save_snapshot(folder: Path, generation: int, state: State) -> None:
    """Save the state before `generation` and forget all but the newest snapshots.

    Raises:
        StorageError: the disk did not take it; older snapshots are untouched.
    """
    write_atomically(folder / f"{generation:08d}.safetensors", save(_named(state)))
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def newest_snapshot(folder: Path, like: State, until: int) -> tuple[int, State] | None:
    """The newest readable snapshot (generation, state) not past generation `until`.

    Args:
        like: a state of the wanted structure, or its shapes.
        until: number of generations the journal knows.
    """
    for path in _newest_first(folder):
        generation = int(path.stem)
        state = _read(path, like) if generation <= until else None
        if state is not None:
            return generation, state
    return None


def all_snapshots(folder: Path, like: State) -> dict[int, State]:
    """Every readable snapshot, by generation."""
    states = {int(path.stem): _read(path, like) for path in _newest_first(folder)}
    return {generation: state for generation, state in states.items() if state is not None}


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"), reverse=True)


def _named(state: State) -> dict[str, np.ndarray]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path) or "state": np.asarray(leaf) for path, leaf in leaves}


def _read(path: Path, like: State) -> State | None:
    """The state in `path`, or None where the file is damaged or of another structure."""
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError):
        return None
    expected, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(place) or "state" for place, _ in expected]
    if sorted(names) != sorted(arrays):
        return None
    if any(arrays[name].shape != leaf.shape for name, (_, leaf) in zip(names, expected, strict=True)):
        return None
    return jax.tree.unflatten(structure, [arrays[name] for name in names])
