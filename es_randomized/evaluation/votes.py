"""More than one run per input: the majority vote over whole answers, and best of k where an answer can be checked."""

import numpy as np
from jaxtyping import Bool, Int

BLOCK = 8192  # instances voted on at a time, to bound memory


def majority(
    answers: Int[np.ndarray, "instance seed"], success: Bool[np.ndarray, "instance seed"], k: int
) -> Bool[np.ndarray, "instance vote"]:
    """Whether the most frequent answer of k runs is right, for every group of k seeds.

    The vote is on the whole answer (paper, section 3.1), which needs no check of it. Among equally frequent answers the
    smallest number wins, a rule that knows nothing about which is right.
    """
    groups = answers.shape[1] // k
    # One instance's equal answers are right together, so the last bit of the sorted key says whether the winner is.
    keys = (answers[:, : groups * k].astype(np.int64) << 1) | success[:, : groups * k]
    parts = [_winners(part.reshape(-1, groups, k)) for part in np.array_split(keys, len(keys) // BLOCK + 1)]
    return np.concatenate(parts).astype(bool)


def _winners(keys: Int[np.ndarray, "instance vote run"]) -> Int[np.ndarray, "instance vote"]:
    """Whether the most frequent key of every vote, the smallest of several, is right."""
    ranked = np.sort(keys, axis=2)
    position = np.arange(keys.shape[2], dtype=np.int16)
    begins = np.ones(keys.shape, bool)
    begins[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    run_length = position - np.maximum.accumulate(np.where(begins, position, 0), axis=2)
    return np.take_along_axis(ranked, np.argmax(run_length, axis=2)[..., None], axis=2)[..., 0] & 1


def best_of(success: Bool[np.ndarray, "instance seed"], k: int) -> Bool[np.ndarray, "instance group"]:
    """Whether any of k runs is right, for every group of k seeds."""
    groups = success.shape[1] // k
    return np.asarray(success[:, : groups * k].reshape(len(success), groups, k).any(axis=2))
