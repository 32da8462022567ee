"""The wall clock decides nothing: a run whose clock jumps back and forth by days is the run whose clock does not."""

import itertools
import time
from pathlib import Path

import numpy as np

from es_randomized import RunFolder, local_evaluator
from es_randomized.runs.restore import restore
from es_randomized.session import run_session
from tests.tools.tiny import tiny

DAY = 86_400.0


def trained(path: Path) -> RunFolder:
    driver = tiny()
    folder = RunFolder(path)
    folder.create(driver.experiment)
    rows = []
    assert run_session(folder, driver, local_evaluator(driver), rows.append).reason == "finished"
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] < DAY
    return folder


def test_a_jumping_clock_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    steady = trained(tmp_path / "steady")
    jumps, now = itertools.cycle([-3 * DAY, 5 * DAY, 0.0]), time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
    jumping = trained(tmp_path / "jumping")
    assert jumping.journal_file.read_bytes() == steady.journal_file.read_bytes()
    generation, state = restore(jumping, tiny())
    _, expected = restore(steady, tiny())
    assert generation == 12
    np.testing.assert_array_equal(tiny().centre(state), tiny().centre(expected))
