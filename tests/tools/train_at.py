"""Trains the tiny experiment at an address, slowly, and saves and brings it up often: something to kill."""

import sys
import time

from es_randomized import Evolution, LocalEvaluator, compilation, load, session
from es_randomized.runs.remote import working_copy
from tests.tools.command import TINY

compilation.configure()
session.SAVE_SECONDS = 0.2
evolution = Evolution.of(load(TINY))
with working_copy.new_run(sys.argv[1], seconds=0.1) as folder:
    folder.create(evolution.experiment)
    session.run_session(folder, evolution, LocalEvaluator(evolution), lambda _: time.sleep(0.3))
