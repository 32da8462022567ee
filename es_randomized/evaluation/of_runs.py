"""Score run folders: the newest weights of one, or of several as an ensemble, under any source of randomness."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import class_of, kind_of, names
from es_randomized.config.yaml import changed
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import ConfigError, UserError
from es_randomized.evaluation.answer import answer_of
from es_randomized.evaluation.evaluate import Score, evaluate, own_randomness
from es_randomized.evaluation.groups import comparable
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import Randomness
from es_randomized.evaluation.stored import summary_of, table_of
from es_randomized.fitness import weight_shapes
from es_randomized.models.model import Model
from es_randomized.runs.checked import json_of, parquet_of
from es_randomized.runs.checkpoint import weights_of
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.location import reading
from es_randomized.runs.restore import restore
from es_randomized.runs.start import Start
from es_randomized.runs.storage import saying_what_failed, write_atomically

NO_CHOICE: Mapping[str, object] = MappingProxyType({})


class Trained(NamedTuple):
    """The newest weights of a run.

    Attributes:
        experiment: that trained them.
        weights: flat.
        what: they are, for people.
        choice: how they were chosen, where there were several candidates.
    """

    experiment: Experiment
    weights: Float[Array, " param"]
    what: str
    choice: Mapping[str, object] = NO_CHOICE


def newest(folder: RunFolder, driver: Driver | None = None, outcomes: Outcomes | None = None) -> Trained:
    """What a run has learned so far, or the weights of a checkpoint; may be called while the run trains.

    Args:
        driver: of the run; made here by default.
        outcomes: runs policies for held-out checks, where there are several candidates; made here by default.
    """
    if folder.is_checkpoint:
        folder.check_origin(experiment := folder.experiment())
        return Trained(experiment, jnp.asarray(weights_of(folder)), "the checkpoint")
    driver = driver or driver_of(folder.experiment())
    generation, state = restore(folder, driver)
    answer = answer_of(driver, state, outcomes)
    what = f"{answer.what} after {generation} generations"
    return Trained(driver.experiment, answer.weights, what, answer.choice)


def start_of(experiment: Experiment) -> Start | None:
    """The weights that an experiment starts from, where it names a run.

    Raises:
        ConfigError: there is no such run, or its weights do not fit the experiment's model.
    """
    if experiment.start_from is None:
        return None
    place = experiment.start_from.replace("{seed}", str(experiment.seed))
    try:
        with reading(place) as folder:
            trained = newest(folder)
            revision = folder.origin().get("revision")
    except UserError as error:
        raise ConfigError(f"start_from: {error}") from error
    theirs, ours = (weight_shapes(each.model, each.task) for each in (trained.experiment, experiment))
    if theirs != ours:
        raise ConfigError(
            f"start_from: {place} has weights of shapes {_text(theirs)}, but this experiment's model and task have "
            f"{_text(ours)}; use the same model, and a task with the same inputs and outputs"
        )
    return Start(np.asarray(trained.weights), {"given": place, "weights": trained.what, "revision": str(revision)})


def _text(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


def with_model(trained: Trained, changes: Mapping[str, object]) -> Trained:
    """The same weights in a model with some other settings, such as {"model.loops": 8}.

    Raises:
        ConfigError: a setting is none of the model's, or changes the shapes of weights.
    """
    for name in changes:
        if not name.startswith("model."):
            raise ConfigError(f"{name}: weights are evaluated as they were trained, but for settings of the model")
    experiment = trained.experiment
    _refuse_settings_of_others(experiment.model, changes)
    model = changed(experiment, changes).model
    before, after = (weight_shapes(each, experiment.task) for each in (experiment.model, model))
    if before != after:
        raise ConfigError(
            f"{', '.join(changes)}: the weights have shapes {_text(before)}, but this needs {_text(after)}; change what "
            "leaves weights their shapes, such as model.loops"
        )
    return trained._replace(experiment=replace(experiment, model=model))


def _refuse_settings_of_others(model: Model, changes: Mapping[str, object]) -> None:
    """Say whose a setting is that this kind of model does not have, but another one does."""
    for name in changes:
        setting = name.split(".")[1]
        if setting == "kind" or setting in _settings_of(type(model)):
            continue
        kinds = [kind for kind in names("model") if setting in _settings_of(class_of("model", kind))]
        if kinds:
            raise ConfigError(f"{name}: {kind_of(model)} has no such setting; it is one of {', '.join(kinds)}")


def _settings_of(kind: type[Model]) -> set[str]:
    return {field.name for field in fields(kind)}  # type: ignore[arg-type]


def evaluate_runs(runs: list[Trained], randomness: Randomness | None = None, runner: Any = None) -> Score:
    """Score a run, or several as an ensemble, as the first one's experiment says.

    Args:
        runner: see `evaluate`.

    Raises:
        ConfigError: several runs whose experiments differ in more than their seed, or without `ensemble`.
    """
    alike = [comparable(run.experiment) for run in runs]
    for other in alike[1:]:
        if other != alike[0]:
            sections = ", ".join(name for name in other if other[name] != alike[0][name])
            raise ConfigError(f"an ensemble is made of runs that differ in their seed alone, but {sections} differ")
    return evaluate(runs[0].experiment, *(run.weights for run in runs), randomness=randomness, runner=runner)


def file_of(
    folder: RunFolder, experiment: Experiment, randomness: Randomness | None, changes: Mapping[str, object] = NO_CHOICE
) -> Path:
    """Where the score under a source of randomness is kept; evaluation.json for the experiment's own."""
    own = own_randomness(experiment)
    if changes:
        words = [] if randomness in (None, own) else [str(randomness)]
        return folder.evaluation_by("-".join(words + [f"{name}={value}" for name, value in changes.items()]))
    return (
        folder.results / folder.evaluation_file.name
        if randomness in (None, own)
        else folder.evaluation_by(str(randomness))
    )


def write_score(
    folder: RunFolder,
    experiment: Experiment,
    score: Score,
    choice: Mapping[str, object] = NO_CHOICE,
    changes: Mapping[str, object] = NO_CHOICE,
) -> Path:
    """Write a score into its run folder, with the table of instances where it is the experiment's own;
    that of a checkpoint goes into the user's cache.

    Args:
        choice: of the weights, see `Trained`.
        changes: settings of the model that are not as trained; their score has a file of its own.
    """
    path = file_of(folder, experiment, score.randomness, changes)
    if folder.is_checkpoint:
        with saying_what_failed(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    if path.name == folder.evaluation_file.name:
        write_atomically(folder.evaluation_table, parquet_of(table_of(score)))
    summary = summary_of(score) | ({"answer": dict(choice)} if choice else {})
    summary |= {"changes": dict(changes)} if changes else {}
    write_atomically(path, json_of(summary))
    return path
