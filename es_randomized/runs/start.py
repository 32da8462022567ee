"""Weights of another run that a run starts from, copied into its folder when it begins: it never needs the other again."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from es_randomized.errors import RunFolderError
from es_randomized.runs.storage import write_atomically


class Start(NamedTuple):
    """First weights, and where they are from.

    Attributes:
        weights: flat, float32.
        origin: for people: the place as given, which weights those were, the revision that trained them.
    """

    weights: Float[np.ndarray, " param"]
    origin: dict[str, str]

    @property
    def provenance(self) -> dict[str, str]:
        """The origin, and the hash of the weights."""
        return self.origin | {"sha256": hashlib.sha256(self.weights.tobytes()).hexdigest()}


def write_start(path: Path, start: Start) -> None:
    """Keep first weights with their origin and hash.

    Raises:
        StorageError: the disk did not take it.
    """
    write_atomically(path, save({"weights": start.weights}, metadata=start.provenance))


def read_start(path: Path) -> Start:
    """First weights, as they were written.

    Raises:
        RunFolderError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "np") as file:
            start, kept = Start(file.get_tensor("weights"), dict(file.metadata())), file.metadata()
    except (SafetensorError, OSError, TypeError) as error:
        raise RunFolderError(f"{path}, the weights this run started from, cannot be read: {error}") from None
    sha256 = start.origin.pop("sha256", None)
    if start.provenance != kept:
        raise RunFolderError(f"{path}, the weights this run started from, is damaged: its hash should be {sha256}")
    return start
