"""A worker without Ray: it evaluates what the local evaluator evaluates and refuses what comes out of order."""

import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, dump, load
from es_randomized.distributed.worker import Worker
from tests.tools.command import TINY


def test_chunks_are_the_local_evaluators_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    evolution = Evolution.of(load(TINY))
    draw = evolution.strategy.draw(evolution.init(), 3)
    expected = LocalEvaluator(evolution).evaluate(draw)
    worker = Worker(dump(evolution.experiment), None)
    worker.ready()
    with pytest.raises(RuntimeError, match="came before the generation's distribution"):
        worker.evaluate(3, [0])
    worker.begin(3, evolution.strategy.message(draw))
    found = dict(zip((2, 0, 1), worker.evaluate(3, [2, 0, 1]), strict=True))
    chunks = [np.frombuffer(found[chunk], np.float32).reshape(-1, 2) for chunk in range(3)]
    np.testing.assert_array_equal(evolution.in_id_order(chunks), expected)
    shaped = np.linspace(-1, 1, evolution.strategy.population, dtype=np.float32)
    parts = LocalEvaluator(evolution).parts_of(evolution.strategy.parts, draw, shaped)
    found = worker.parts(3, shaped, list(range(len(parts))))
    assert b"".join(found) == b"".join(part.tobytes() for part in parts)
