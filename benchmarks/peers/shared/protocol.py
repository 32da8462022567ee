"""What a peer and the benchmark say to each other. Needs NumPy only, because every peer has an environment of its own.

A peer is a process: one JSON object (`Config`) on standard input, one (`Report`) on standard output; arrays go through two
files. Whatever a library prints goes to standard error.
"""

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

FIRST = 3  # generations that may compile something: they are not timed, and the time limit starts after them
FEWEST = 3  # generations that are timed whatever the limit says


@dataclass(frozen=True)
class Config:
    """What a peer is asked to do.

    Attributes:
        variant: which of the peer's own ways of running.
        population: members per generation, antithetic pairs.
        generations, seconds: when to stop, whichever comes first; seconds count from generation `FIRST` on.
        std: of a member around the centre.
        learning_rate: Adam's.
        q: of the norm over instances.
        instances, seeds: fresh ones per generation, the same for all members.
        seed: of the peer's own random numbers.
        given: npz with `centre`, the first weights [param], and `weights` [param], `cycles` [instance, position] and `noise`
            [seed, vertex] to compute losses of.
        found: npz to write, with those `losses` [instance, seed] and the `centres` [generation, param].
    """

    variant: str
    population: int
    generations: int
    seconds: float
    std: float
    learning_rate: float
    q: float
    instances: int
    seeds: int
    seed: int
    given: str
    found: str


@dataclass(frozen=True)
class Report:
    """What a peer found.

    Attributes:
        start_seconds: from the first line of the peer's script to generation 0, without the check of the losses.
        generation_seconds: of every generation, with the first ones, which compile.
        losses: of every generation: the mean of its members' objectives.
        versions: of the packages that do the work.
    """

    start_seconds: float
    generation_seconds: list[float]
    losses: list[float]
    versions: dict[str, str]


class Peer(Protocol):
    """One library at work."""

    def case_losses(self, weights: np.ndarray, cycles: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Losses [instance, seed] of one member, by the same function that training calls."""

    def generation(self) -> float:
        """Run one to its end; the mean of its members' objectives."""

    def centre(self) -> np.ndarray:
        """The weights after the last generation [param]."""


def serve(make: Callable[[Config, np.ndarray], Peer], packages: Sequence[str]) -> None:
    """Be a peer: read a configuration, run it, report.

    Args:
        make: (configuration, first weights) -> the library, ready to run.
        packages: whose versions go into the report.
    """
    began = time.perf_counter()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    config = Config(**json.load(sys.stdin))
    given = np.load(config.given)
    peer = make(config, given["centre"])
    start_seconds = time.perf_counter() - began
    losses = peer.case_losses(given["weights"], given["cycles"], given["noise"])
    seconds, objectives, centres = run(peer, config)
    np.savez(config.found, losses=losses, centres=np.stack(centres))
    versions = {name: importlib.metadata.version(name) for name in packages} | {"python": sys.version.split()[0]}
    print(json.dumps(asdict(Report(start_seconds, seconds, objectives, versions))), file=answer, flush=True)


def run(peer: Peer, config: Config) -> tuple[list[float], list[float], list[np.ndarray]]:
    """Generations until the limit: their seconds, objectives and centres."""
    seconds: list[float] = []
    objectives: list[float] = []
    centres: list[np.ndarray] = []
    while len(seconds) < config.generations:
        if len(seconds) >= FIRST + FEWEST and sum(seconds[FIRST:]) >= config.seconds:
            break
        began = time.perf_counter()
        objectives.append(float(peer.generation()))
        seconds.append(time.perf_counter() - began)
        centres.append(np.array(peer.centre(), np.float32))
    return seconds, objectives, centres
