"""Twenty generations of losses, as they were when last called right: a refactor reproduces them.

On the machine that wrote them to the last bit: GOLDEN=exact. A deliberate change of results writes the files anew
(`python -m tests.golden.test_golden`) and says why in its commit.
"""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

from es_randomized import driver_of, load, local_evaluator, train

CONFIGS = sorted(Path(__file__).parent.glob("*.yaml"))


def trace(config: Path) -> np.ndarray:
    driver = driver_of(load(config))
    return np.array([step.losses for step in train(driver, local_evaluator(driver), driver.init())])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_losses_are_those_of_the_golden_trace(config: Path) -> None:
    text = config.with_suffix(".txt").read_text().splitlines()
    golden, found = np.loadtxt(text, dtype=np.float32, ndmin=2), trace(config)
    found = found.reshape(golden.shape)
    if os.environ.get("GOLDEN") == "exact":
        np.testing.assert_array_equal(found, golden)
    elif text[0].split()[-1] == jax.__version__:
        np.testing.assert_allclose(found, golden, rtol=1e-5)
    else:  # last bits differ between compilers, and ranks amplify them from generation to generation
        np.testing.assert_allclose(found[:3], golden[:3], rtol=1e-4)


def write() -> None:
    for config in CONFIGS:
        header = f"losses [generation, member] of {config.name} with jax {jax.__version__}"
        np.savetxt(config.with_suffix(".txt"), trace(config), fmt="%.9g", header=header)


if __name__ == "__main__":
    import tests.conftest  # noqa: F401  (the compiler options of the tests)

    write()
