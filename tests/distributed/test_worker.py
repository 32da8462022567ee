"""A worker without Ray: it evaluates what the local evaluator evaluates generation after generation."""

import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, dump, load
from es_randomized.distributed.worker import Worker
from tests.tools.command import TINY


def test_chunks_are_the_local_evaluators_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    evolution = Evolution.of(load(TINY))
    ask = evolution.strategy.ask(evolution.init(), 3)
    expected = LocalEvaluator(evolution).evaluate(ask)
    worker = Worker(dump(evolution.experiment), None)
    worker.ready()
    message = evolution.strategy.message(ask)
    done = worker.evaluate(3, message, [2, 0, 1])
    found = dict(zip((2, 0, 1), done.results, strict=True))
    chunks = [np.frombuffer(found[chunk], np.float32).reshape(-1, 2) for chunk in range(3)]
    np.testing.assert_array_equal(evolution.in_id_order(chunks), expected)
    shaped = np.linspace(-1, 1, evolution.strategy.population, dtype=np.float32)
    parts = LocalEvaluator(evolution).parts_of(evolution.strategy.parts, ask, shaped)
    found = worker.parts(3, message, shaped, list(range(len(parts)))).results
    assert b"".join(found) == b"".join(part.tobytes() for part in parts)
    later = evolution.strategy.ask(evolution.init(), 4)
    again = worker.evaluate(4, evolution.strategy.message(later), [0]).results[0]
    assert again != done.results[1]
    assert 0 < done.seconds < 60
