"""A short version of `python -m tests.chaos`: machines come and go under one run, which ends with the undisturbed bits."""

import random
from pathlib import Path

from tests import chaos


def test_a_run_among_coming_and_going_machines_has_the_undisturbed_bits(tmp_path: Path) -> None:
    events = [(3, "pause worker"), (8, "add node"), (14, "kill node"), (20, "drain node")]
    expected = chaos.reference(tmp_path / "reference")
    with chaos.cluster() as nodes:
        assert chaos.survive(events, random.Random(0), nodes, tmp_path / "run") is None
    assert chaos.same(tmp_path / "run", expected)
    log = (tmp_path / "run" / "run.log").read_text()
    assert "were issued twice because they were late" in log
    assert "a worker died; starting another" in log
    assert "is about to go" in log
