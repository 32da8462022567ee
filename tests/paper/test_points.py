"""Which trials of a figure are done and what is in the way of the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from es_randomized.config.yaml import load
from es_randomized.paper.points import began, finished, move_others_aside
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import Journal, generations_in
from es_randomized.trials.queue import Study
from es_randomized.trials.trial import Trial, TrialsFolder

BASE = Path(__file__).parents[1] / "tiny_gradient.yaml"
TRIAL = Trial("good", BASE, {}, {}, 0, (None, "sampled"))


def test_a_folder_of_another_experiment_is_moved_aside(tmp_path):
    folder = TrialsFolder(tmp_path)
    study = Study(folder=folder, trials=[TRIAL], records={}, total=1)
    folder.run("good").create(replace(TRIAL.experiment, seed=7))
    assert not began(TRIAL, folder.run("good"))
    move_others_aside(study)
    (moved,) = tmp_path.glob("good-before-*")
    assert RunFolder(moved).experiment().seed == 7
    folder.run("good").create(TRIAL.experiment)
    move_others_aside(study)
    assert began(TRIAL, folder.run("good"))


def test_a_trial_is_finished_when_it_is_trained_and_scored_under_every_source(tmp_path):
    run, generations = RunFolder(tmp_path / "good"), TRIAL.experiment.budget.generations
    assert not finished(TRIAL, run)
    run.create(TRIAL.experiment)
    journal = Journal(run.journal_file, 1)
    for generation in range(generations):
        assert generations_in(run.journal_file) == generation
        journal.append(generation, np.zeros(1, np.float32))
    journal.close()
    assert not finished(TRIAL, run)
    run.evaluation_file.write_text("{}")
    assert not finished(TRIAL, run)
    run.evaluation_by("sampled").write_text("{}")
    assert finished(TRIAL, run)
    assert finished(replace(TRIAL, settings={"plan.tile": 4}), run), "the plan follows the machine"
    assert load(BASE, {"plan.tile": 4}).plan != TRIAL.experiment.plan
