"""Train, resume and evaluate runs: what the command, sweeps and notebooks ask for, with everything that belongs to a run.

A run folder or an address, a plan that fits the devices, Ray or this process, journal, snapshots, metrics, trackers, a log,
a gentle Ctrl-C, and an evaluation at the end.
"""

import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from jaxtyping import Array, Float

from es_randomized import compilation
from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import kind_of
from es_randomized.config.yaml import changed, load
from es_randomized.distributed.shape import Fanout
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.local_evaluator import local_evaluator
from es_randomized.errors import ConfigError
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.evaluate import evaluate as evaluate_weights
from es_randomized.evaluation.of_runs import evaluate_runs, newest, start_of, with_model, write_score
from es_randomized.evaluation.randomness import Randomness
from es_randomized.listener import Listener
from es_randomized.runs.branch import grow
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.location import RunLocation, new_run, reading, training
from es_randomized.runs.made import gone_if_nothing_came, unused
from es_randomized.runs.metrics import MetricsRow
from es_randomized.session import RunResult, logging_to, run_session
from es_randomized.tracking.kinds import check_installed, trackers
from es_randomized.tracking.tracker import Tracker, Trackers

log = logging.getLogger(__name__)


class TrainingOptions(TypedDict, total=False):
    """How to train. Each may be left out.

    Attributes:
        workers: Ray workers; one per accelerator or core by default.
        devices_per_worker: accelerators, or else cores, of a worker; 1 by default.
        address: join this running Ray cluster (or `auto`) instead of starting a local one.
        dashboard_port: serve Ray's dashboard on this local port.
        fanout: flat: this process hands out to all workers; tree: to a supervisor on every machine, which hands out to the
            machine's workers; groups: to supervisors of machines' supervisors; by default what is faster.
        local: do without Ray: evaluate in this process, on all its devices. Gradient descent always does.
        trackers: where to send curves besides TensorBoard: wandb, mlflow or a module with a class derived from Tracker.
        evaluate: evaluate the weights at the end, unless training was interrupted; True by default.
        on_row: called with the metrics of every generation.
    """

    workers: int | None
    devices_per_worker: int | None
    address: str | None
    dashboard_port: int | None
    fanout: Fanout | None
    local: bool
    trackers: Sequence[str]
    evaluate: bool
    on_row: Callable[[MetricsRow], None] | None


def train_run(
    experiment: Experiment | Path | str,
    folder: RunLocation | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    seconds: float | None = None,
    listener: Listener | None = None,
    **options: Unpack[TrainingOptions],
) -> RunResult:
    """Make a run of an experiment and train it.

    Args:
        experiment: or the path of its YAML file.
        folder: of the run, which must not hold one yet, or an address; runs/<name>-<time> by default.
        overrides: dotted settings, such as {"driver.population": 128}.
        seconds: stop after this much training time; the experiment's own limit by default.
        listener: is told how it goes.
        options: see `TrainingOptions`.

    Raises:
        UserError: the experiment does not fit, the folder holds a run, Ray cannot be reached and the like.
    """
    name = kind_of(experiment.task) if isinstance(experiment, Experiment) else Path(experiment).stem
    if not isinstance(experiment, Experiment):
        experiment = load(Path(experiment), overrides)
    elif overrides:
        experiment = changed(experiment, overrides)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with new_run(folder or unused(Path("runs"), f"{name}-{stamp}")) as run_folder, gone_if_nothing_came(run_folder):
        run_folder.refuse_existing()
        seconds = seconds or experiment.budget.seconds
        return _train(run_folder, experiment, seconds, listener or Listener(), new=True, **options)


def resume(
    run: RunLocation,
    *,
    seconds: float | None = None,
    generations: int | None = None,
    changed_files: bool = False,
    listener: Listener | None = None,
    **options: Unpack[TrainingOptions],
) -> RunResult:
    """Continue the training of a run exactly where it stopped, however it stopped.

    Args:
        run: its folder or address.
        seconds: stop again after this much training time.
        generations: another, larger budget.
        changed_files: go on although files of your own, of a task for example, were changed since the run began.
        listener: is told how it goes.
        options: see `TrainingOptions`.

    Raises:
        UserError: there is no run, another process trains it, Ray cannot be reached and the like.
    """
    with training(run) as folder:
        experiment = folder.experiment()
        folder.refuse_checkpoint()
        if changed_files:
            folder.accept_files(experiment)
        if generations is not None:
            _set_up()
            experiment = grow(folder, driver_of(experiment), generations)
        return _train(folder, experiment, seconds, listener or Listener(), **options)


@overload
def evaluate(
    run: Experiment,
    *others: Float[Array, " param"],
    randomness: Randomness | None = None,
    listener: Listener | None = None,
) -> Score: ...
@overload
def evaluate(
    run: RunLocation,
    *others: RunLocation,
    randomness: Randomness | None = None,
    changes: Mapping[str, object] | None = None,
    listener: Listener | None = None,
) -> Score: ...
def evaluate(
    run: Experiment | RunLocation,
    *others: Any,
    randomness: Randomness | None = None,
    changes: Mapping[str, object] | None = None,
    listener: Listener | None = None,
) -> Score:
    """Score weights on every instance (or a large sample) with fresh seeds; several sets of weights are an ensemble.

    Args:
        run: a run folder, an address or a checkpoint, which keeps the score; or an experiment.
        others: more runs, which may differ from it in the seed alone; or the flat weights of the experiment, one set or more.
        randomness: what differs between repeated runs; by default the seed, or what the model was trained with.
        changes: dotted settings of the model that weights do not depend on, such as {"model.loops": 8}.

    Raises:
        UserError: there is no run, a change does not fit the weights, or the runs do not go together.
    """
    _set_up()
    if isinstance(run, Experiment):
        return evaluate_weights(run, *others, randomness=randomness)
    source = randomness or ("ensemble" if others else None)
    with ExitStack() as stack:
        folders = [stack.enter_context(reading(place, results=place is run)) for place in (run, *others)]
        return _evaluate(folders, source, listener or Listener(), changes or {})


def _train(
    folder: RunFolder,
    experiment: Experiment,
    seconds: float | None,
    listener: Listener,
    *,
    new: bool = False,
    workers: int | None = None,
    devices_per_worker: int | None = None,
    address: str | None = None,
    dashboard_port: int | None = None,
    fanout: Fanout | None = None,
    local: bool = False,
    trackers: Sequence[str] = (),
    evaluate: bool = True,
    on_row: Callable[[MetricsRow], None] | None = None,
) -> RunResult:
    check_installed(trackers)
    devices = devices_per_worker or 1
    local = local or _stays_here(experiment, workers, address, dashboard_port, devices_per_worker, fanout)
    with ExitStack() as stack:
        if not local:
            from es_randomized.distributed.session import connect

            listener.connecting(address)
            stack.enter_context(connect(workers and workers * devices, address, dashboard_port))
        _set_up(None if local else "cpu")  # accelerators of the cluster are the workers'
        if not local:
            from es_randomized.distributed.resolution import resolved_there

            experiment = resolved_there(experiment, devices)
        driver = driver_of(experiment)
        listener.planned(driver)
        if new:
            folder.create(driver.experiment, start_of(driver.experiment))
        stack.enter_context(logging_to(folder.log_file))
        evaluator = stack.enter_context(_evaluator(driver, local, workers, devices, fanout))
        curves = stack.enter_context(_trackers(folder, trackers, evaluator, local, listener))
        hearers: list[Callable[[MetricsRow], None]] = [listener.row, curves, *([on_row] if on_row else [])]
        result = _session(folder, driver, evaluator, seconds, hearers, listener)
    if not evaluate or result.reason == "interrupted":
        return result
    return result._replace(score=_evaluate([folder], None, listener, {}))


def _session(
    folder: RunFolder,
    driver: Driver,
    evaluator: Evaluator,
    seconds: float | None,
    hearers: list[Callable[[MetricsRow], None]],
    listener: Listener,
) -> RunResult:
    """A training session between `began` and `ended`."""

    def hear(row: MetricsRow) -> None:
        for hearer in hearers:
            hearer(row)

    result = None
    listener.began(folder, driver, evaluator, seconds)
    try:
        result = run_session(folder, driver, evaluator, hear, seconds)
    finally:
        listener.ended(result)
    return result


def _evaluate(
    folders: list[RunFolder], randomness: Randomness | None, listener: Listener, changes: Mapping[str, object]
) -> Score:
    """Evaluate a run, or several as an ensemble, and keep the score in the first folder."""
    trained, *others = [with_model(newest(folder), changes) if changes else newest(folder) for folder in folders]
    listener.evaluating(trained)
    score = evaluate_runs([trained, *others], randomness)
    file = write_score(folders[0], trained.experiment, score, trained.choice, changes)
    listener.scored(folders[0], trained, score, file)
    return score


def _set_up(platform: str | None = None) -> None:
    """Set up JAX, unless this process has computed with other devices already: then they stay as they are."""
    try:
        compilation.configure(platform=platform)
    except RuntimeError as error:
        log.info("JAX keeps the devices it has: %s", error)
    compilation.check_devices()


def _stays_here(experiment: Experiment, *cluster: int | str | None) -> bool:
    """Whether the driver has no members to hand out; refuses options that ask for a cluster then."""
    if any(part.driver.distributed for part in experiment.by_phase or (experiment,)):
        return False
    if any(option is not None for option in cluster):
        raise ConfigError(
            f"driver.kind {experiment.driver.kind} runs in this process on one device; leave out workers, address "
            "and the like, or choose an evolution strategy"
        )
    return True


def _evaluator(driver: Driver, local: bool, workers: int | None, devices: int, fanout: Fanout | None) -> Evaluator:
    if local or driver.first_with_members() is None:
        return local_evaluator(driver)
    from es_randomized.distributed.evaluator import RayEvaluator

    return RayEvaluator(driver, workers, devices, fanout=fanout)


def _trackers(
    folder: RunFolder, names: Sequence[str], evaluator: Evaluator, local: bool, listener: Listener
) -> Trackers:
    """TensorBoard, Ray's metrics where there is Ray, and what was asked for."""

    def gauges() -> Tracker:
        from es_randomized.distributed.gauges import Gauges

        return Gauges(folder.path.name, evaluator.workers)

    return trackers(folder, names, listener.warned, {} if local else {"Prometheus": gauges})
