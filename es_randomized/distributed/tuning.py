"""Run the trials of a sweep on the current Ray session by Ray Tune: it places them, and gives up the bad ones.

What Tune knows is thrown away at the end. The run folders are the state: a sweep that was interrupted in any way begins anew
with the trials that are left, and the scheduler is told what the others reported.
"""

import logging
import math
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import ray

from es_randomized import compilation
from es_randomized.configuration import dump, parse, write_yaml
from es_randomized.distributed.cores import claim_cores, claims_folder
from es_randomized.errors import ClusterError, ConfigError
from es_randomized.sweeps.attempt import Report, at, attempt, scores_over_time
from es_randomized.sweeps.choice import Choice, choice_of
from es_randomized.sweeps.progress import Progress
from es_randomized.sweeps.sweep import Room, Sweep
from es_randomized.sweeps.trials import Record, SweepFolder, Trial, known

try:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
    from ray.tune.search import Searcher
except ImportError:
    raise ClusterError("a sweep needs Ray Tune and its packages; install es-randomized[sweep]") from None

LOST_PROCESSES = 2  # of one trial: it begins again where its journal ends
SHARED_GPU_MEMORY = 0.9  # of a GPU, for all trials on it together
LONGEST = 10**9  # generations: no trial is stopped for having come so far
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a trial is a run folder, which logs for itself
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # reports between looks at held-out draws have no score
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def run_sweep(sweep: Sweep, folder: SweepFolder, show: Callable[[Progress], None] = lambda _: None) -> Progress:
    """Run what is left of a sweep. The first Ctrl-C lets trials save and stop, a second one ends them at once.

    Raises:
        ClusterError: no machine has room for a trial.
    """
    refuse_without_room(sweep.room, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    records = known(sweep, folder)
    choice = choice_of(sweep, records)
    queue = Queue(sweep, folder, choice, Progress(choice.total(), records), show)
    with tempfile.TemporaryDirectory(prefix="es_randomized-") as scratch, _environment():
        tuner = tune.Tuner(
            tune.with_resources(TrialProcess, tune.PlacementGroupFactory([_bundle(sweep.room)])),
            tune_config=tune.TuneConfig(
                search_alg=queue,
                scheduler=scheduler_of(sweep, folder, records),
                num_samples=-1,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                callbacks=[Reasons(queue)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=LOST_PROCESSES),
            ),
        )
        tuner.fit()
    queue.progress.interrupted = bool(queue.progress.running) or not queue.exhausted
    return queue.progress


class TrialProcess(tune.Trainable):
    """The process of one trial: Tune asks it for reports."""

    def setup(self, config: dict[str, Any]) -> None:
        self._claim = claim_cores(Path(config["claims"]), config["cores"])  # before JAX looks
        if 0 < config["gpus"] < 1:
            os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{SHARED_GPU_MEMORY * config['gpus']:.3f}"
        compilation.configure(devices=config["cores"], platform=None if config["gpus"] else "cpu")
        self._reports = _reports(config)

    def step(self) -> dict[str, Any]:
        report = next(self._reports)
        found = {name: value for name, value in report._asdict().items() if value is not None}
        return found | {"finished": report.done}  # Tune says done of what it stops, too

    def cleanup(self) -> None:
        """Save the trial, if it is not at its end."""
        self._reports.close()


def _reports(config: dict[str, Any]) -> Generator[Report, None, None]:
    try:
        folder = at(config["folder"])
    except Exception as error:
        yield Report(0, math.inf, True, str(error))
        return
    yield from attempt(folder, parse(config["experiment"]), config["metric"], config["evaluate"])


class Queue(Searcher):
    """Hands Tune the trials of a choice, one by one, and writes down what becomes of them."""

    def __init__(
        self, sweep: Sweep, folder: SweepFolder, choice: Choice, progress: Progress, show: Callable[[Progress], None]
    ) -> None:
        super().__init__(metric="score", mode="min")
        context = ray.get_runtime_context()
        claims = claims_folder(f"{context.gcs_address}-{context.get_job_id()}")
        self._constant = {
            "metric": sweep.metric,
            "evaluate": sweep.evaluate,
            "cores": sweep.room.cores,
            "gpus": sweep.room.gpus,
            "claims": str(claims),
        }
        self._sweep, self._folder, self._choice, self._show = sweep, folder, choice, show
        self._trials: dict[str, Trial] = {}
        self.progress, self.exhausted = progress, False

    def suggest(self, trial_id: str) -> Any:
        while trial := self._choice.next():
            try:
                experiment = self._sweep.experiment(trial.parameters, trial.seed)
            except ConfigError as error:  # of a point that nobody knew beforehand
                self._end(trial, Record(trial.parameters, trial.seed, "failed", message=str(error)))
                continue
            self._trials[trial_id] = self.progress.running[trial.name] = trial
            self._write(trial, Record(trial.parameters, trial.seed))
            place = str(self._folder.run(trial.name).path.resolve())
            return {**self._constant, "folder": place, "experiment": write_yaml(dump(experiment))}
        self.exhausted = True
        return Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        trial = self._trials[trial_id]
        record = self.progress.records[trial.name]
        score = result.get("score", record.score)
        self.progress.records[trial.name] = replace(record, score=score, generation=result["generation"])
        self._show(self.progress)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self._trials[trial_id]
        del self.progress.running[trial.name]
        self._end(trial, _ended(Record(trial.parameters, trial.seed), None if error else result))

    def _end(self, trial: Trial, record: Record) -> None:
        self._choice.tell(trial, math.inf if record.score is None else record.score)
        self._write(trial, record)

    def _write(self, trial: Trial, record: Record) -> None:
        self._folder.write(trial.name, record)
        self.progress.records[trial.name] = record
        self._show(self.progress)

    def lost(self, trial_id: str, reason: str) -> None:
        """Why a trial ended without a result of its own."""
        trial = self._trials[trial_id]
        message = f"its process was lost {LOST_PROCESSES + 1} times; the last time: {reason}"
        self._write(trial, replace(self.progress.records[trial.name], message=message))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the run folders are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the run folders are the state."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy of what it was given; nobody reads it."""
        return {}


class Reasons(tune.Callback):
    """Tells the queue what Tune does not tell searchers."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lines = [line.strip() for line in str(trial.get_error()).splitlines() if line.strip()]
        self._queue.lost(trial.trial_id, lines[-1])


def _ended(record: Record, result: dict[str, Any] | None) -> Record:
    """The record of a trial that ended with Tune's last result, None if its process was lost."""
    if result is None:
        return replace(record, status="failed")
    record = replace(record, generation=result["generation"])
    if result["message"]:
        return replace(record, status="failed", message=result["message"])
    return replace(record, status="finished" if result["finished"] else "stopped", score=result["score"])


def scheduler_of(sweep: Sweep, folder: SweepFolder, records: dict[str, Record]) -> TrialScheduler:
    """Tune's scheduler, told what the trials of earlier sessions reported."""
    if sweep.stop is None:
        return FIFOScheduler()
    stop = sweep.stop
    scheduler = ASHAScheduler("generation", "score", "min", LONGEST, stop.first, stop.factor, stop_last_trials=False)
    nobody: Any = None  # in Tune's place; the scheduler never asks it
    for name, record in records.items():
        if record.status not in ("finished", "stopped"):
            continue  # it will run again and report for itself
        run = folder.run(name)
        past: Any = Past(name)
        scheduler.on_trial_add(nobody, past)
        for generation, score in scores_over_time(run, run.experiment().task.headline, sweep.metric):
            scheduler.on_trial_result(nobody, past, {"generation": generation, "score": score})
    return scheduler


class Past(NamedTuple):
    """A trial of an earlier session, as far as a scheduler looks at it."""

    trial_id: str


def _bundle(room: Room) -> dict[str, float]:
    return {"CPU": float(room.cores)} | ({"GPU": room.gpus} if room.gpus else {})


def refuse_without_room(room: Room, machines: list[dict[str, float]]) -> None:
    """Say now what Tune would wait for without end: one of the machines must have all that a trial needs.

    Args:
        machines: how much of what each has, in Ray's words.

    Raises:
        ClusterError: none has.
    """
    needs = _bundle(room)
    if not any(all(machine.get(kind, 0) >= count for kind, count in needs.items()) for machine in machines):
        has = "; ".join(", ".join(f"{machine.get(kind, 0):g} {kind}" for kind in needs) for machine in machines)
        asked = ", ".join(f"{count:g} {kind}" for kind, count in needs.items())
        raise ClusterError(
            f"a trial needs {asked} on one machine, as the sweep's room: says, but the machines have: {has}; ask for less, or "
            "join a larger cluster with --address"
        )


@contextmanager
def _environment() -> Iterator[None]:
    """Tune reads these settings from the environment."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    level = logging.getLogger("ray.tune").level
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the table says what failed
    try:
        yield
    finally:
        logging.getLogger("ray.tune").setLevel(level)
        os.environ.clear()
        os.environ.update(before)
