"""A worker without Ray: it evaluates what the local evaluator evaluates and refuses what comes out of order."""

import jax
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, dump, load
from es_randomized.distributed.worker import Worker
from tests.tools.command import TINY


def test_chunks_are_the_local_evaluators_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    evolution = Evolution.of(load(TINY))
    state = evolution.init()
    expected = LocalEvaluator(evolution).evaluate(evolution.strategy.draw(state, 3))
    worker = Worker(dump(evolution.experiment), None)
    worker.ready()
    with pytest.raises(RuntimeError, match="came before the generation's state"):
        worker.evaluate(3, 0)
    worker.begin(3, [np.asarray(leaf) for leaf in jax.tree.leaves(state)])
    found = {chunk: np.frombuffer(worker.evaluate(3, chunk), np.float32) for chunk in (2, 0, 1)}
    np.testing.assert_array_equal(np.concatenate([found[chunk] for chunk in range(3)]), expected)
