"""Snapshots: the driver's state before a generation, as safetensors (data, never code), newest two kept.

Each has a checksum of its arrays and the hash of its experiment; those of before have neither and are taken as they are.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from es_randomized.runs.storage import write_atomically
from es_randomized.strategies.strategy import State

KEPT = 2
Like: TypeAlias = Callable[[int], State]
CHECKED = "sha256 experiment"

log = logging.getLogger(__name__)


def save_snapshot(folder: Path, generation: int, state: State, experiment: str | None = None) -> None:
    """Save the state before `generation` and forget all but the newest snapshots.

    Args:
        experiment: the hash of the experiment, see identity.py.

    Raises:
        StorageError: the disk did not take it; older snapshots are untouched.
    """
    arrays = _named(state)
    checked = {CHECKED: f"{_checksum(arrays)} {experiment or ''}"}  # one entry: several come in an order of their own
    write_atomically(folder / f"{generation:08d}.safetensors", save(arrays, checked))
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def newest_snapshot(folder: Path, like: Like, until: int, experiments: Sequence[str] = ()) -> tuple[int, State] | None:
    """The newest readable snapshot (generation, state) not past generation `until`.

    Args:
        like: a state of the structure that states before a generation have.
        until: number of generations the journal knows.
        experiments: whose snapshots count; all where there are none.
    """
    for path in _newest_first(folder):
        generation = int(path.stem)
        state = _read(path, like(generation), experiments) if generation <= until else None
        if state is not None:
            return generation, state
    return None


def all_snapshots(folder: Path, like: Like) -> dict[int, State]:
    """Every readable snapshot, by generation."""
    states = {int(path.stem): _read(path, like(int(path.stem))) for path in _newest_first(folder)}
    return {generation: state for generation, state in states.items() if state is not None}


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"), reverse=True)


def _named(state: State) -> dict[str, np.ndarray]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path) or "state": np.asarray(leaf) for path, leaf in leaves}


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    """Of names, types, shapes and bytes."""
    sha256 = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha256.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return sha256.hexdigest()


def _read(path: Path, like: State, experiments: Sequence[str] = ()) -> State | None:
    """The state in `path`, or None where the file is damaged, of another experiment or of another structure."""
    try:
        arrays, checksum, experiment = _content(path)
    except (SafetensorError, OSError) as error:
        log.warning("the snapshot %s cannot be read (%s) and is passed over", path, error)
        return None
    if checksum and checksum != _checksum(arrays):
        log.warning("the snapshot %s is damaged, its checksum does not fit, and is passed over", path)
        return None
    if experiments and experiment and experiment not in experiments:
        log.warning("the snapshot %s is of another experiment and is passed over", path)
        return None
    expected, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(place) or "state" for place, _ in expected]
    if sorted(names) != sorted(arrays):
        return None
    if any(arrays[name].shape != leaf.shape for name, (_, leaf) in zip(names, expected, strict=True)):
        return None
    return jax.tree.unflatten(structure, [arrays[name] for name in names])


def _content(path: Path) -> tuple[dict[str, np.ndarray], str, str]:
    """Arrays of a file, their checksum and the hash of the experiment; these are empty where it has none."""
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checksum, _, experiment = (file.metadata() or {}).get(CHECKED, "").partition(" ")
        return arrays, checksum, experiment
