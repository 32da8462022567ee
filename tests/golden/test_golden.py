"""Twenty generations of losses, as they were when last called right: a refactor reproduces them.

A deliberate change of results writes the file anew (`python -m tests.golden.test_golden`) and says why in its commit.
"""

from pathlib import Path

import jax
import numpy as np

from es_randomized import Evolution, LocalEvaluator, load, train
from tests.tools.command import TINY

TRACE = Path(__file__).parent / "tiny.txt"
GENERATIONS = 20


def trace() -> np.ndarray:
    evolution = Evolution.of(load(TINY, {"budget.generations": GENERATIONS}))
    steps = train(evolution, LocalEvaluator(evolution), evolution.init())
    return np.array([step.losses for step in steps])


def test_the_losses_are_those_of_the_golden_trace() -> None:
    golden = np.loadtxt(TRACE, dtype=np.float32)
    recorded_with = TRACE.read_text().splitlines()[0].split()[-1]
    found = trace()
    if recorded_with == jax.__version__:
        np.testing.assert_allclose(found, golden, rtol=1e-5)
    else:  # last bits differ between compilers, and ranks amplify them from generation to generation
        np.testing.assert_allclose(found[:3], golden[:3], rtol=1e-4)


if __name__ == "__main__":
    np.savetxt(
        TRACE, trace(), fmt="%.8g", header=f"losses [generation, member] of tests/tiny.yaml with jax {jax.__version__}"
    )
