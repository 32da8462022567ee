"""Run the trials of a sweep on the current Ray session: Ray Tune assignments processes, its scheduler says what to give up.

What Tune knows is thrown away at the end. The run folders are the state: a sweep that was interrupted in any way begins anew
with the trials that are left, and the scheduler is told what the others reported.
"""

import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ray

from es_randomized import compilation
from es_randomized.config.yaml import dump, write_yaml
from es_randomized.distributed.cores import claim_cores, claims_folder
from es_randomized.errors import ClusterError
from es_randomized.trials.attempt import scores_over_time
from es_randomized.trials.groups import Groups, Planned
from es_randomized.trials.progress import Progress
from es_randomized.trials.search import Choice, choice_of
from es_randomized.trials.sweep import Room, Sweep
from es_randomized.trials.trial import Record, SweepFolder, Trial, known
from es_randomized.trials.turns import Assignment, take_turns

try:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
    from ray.tune.search import Searcher
except ImportError:
    raise ClusterError("a sweep needs Ray Tune and its packages; install es-randomized[sweep]") from None

LOST_PROCESSES = 2  # of the same trials: they begin again where their journals end
SHARED_GPU_MEMORY = 0.9  # of a GPU, for all trials on it together
NOBODY: Any = None  # in Tune's assignment; schedulers never ask it
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
    scheduler = scheduler_of(sweep, folder, records)
    context = ray.get_runtime_context()
    claims = claims_folder(f"{context.gcs_address}-{context.get_job_id()}")
    queue = Queue(sweep, folder, choice, Progress(choice.total(), records), scheduler, claims, show)
    with tempfile.TemporaryDirectory(prefix="es_randomized-") as scratch, _environment():
        tuner = tune.Tuner(
            tune.with_resources(TrialProcess, tune.PlacementGroupFactory([_bundle(sweep.room)])),
            tune_config=tune.TuneConfig(
                search_alg=queue,
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


def named(name: str) -> Any:
    """A trial as far as a scheduler looks at it. Tune itself knows processes, each with some trials, and stops none of them."""
    return SimpleNamespace(trial_id=name)


class TrialProcess(tune.Trainable):
    """The process of some trials: Tune asks it for reports, and gets those of the trials in turn."""

    def setup(self, config: dict[str, Any]) -> None:
        self._claim = claim_cores(Path(config["claims"]), config["cores"])  # before JAX looks
        if 0 < config["gpus"] < 1:
            os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{SHARED_GPU_MEMORY * config['gpus']:.3f}"
        compilation.configure(devices=config["cores"], platform=None if config["gpus"] else "cpu")
        assignments = [Assignment(**assignment) for assignment in config["assignments"]]
        self._turns = take_turns(assignments, config["metric"], config["evaluate"])

    def step(self) -> dict[str, Any]:
        turn = next(self._turns, None)
        if turn is None:  # the process was lost before, when everything had ended
            return {"done": True}
        report = {name: value for name, value in turn.report._asdict().items() if value is not None}
        return report | {"trial": turn.name, "ended": turn.report.done, "done": turn.last}

    def cleanup(self) -> None:
        """Save the trials that are not at their end."""
        self._turns.close()


class Queue(Searcher):
    """Hands Tune the trials of a choice, some for every process, and writes down what becomes of them."""

    def __init__(
        self,
        sweep: Sweep,
        folder: SweepFolder,
        choice: Choice,
        progress: Progress,
        scheduler: TrialScheduler,
        claims: Path,
        show: Callable[[Progress], None],
    ) -> None:
        super().__init__(metric="score", mode="min")
        self._constant = {
            "metric": sweep.metric,
            "evaluate": sweep.evaluate,
            "cores": sweep.room.cores,
            "gpus": sweep.room.gpus,
            "claims": str(claims),
        }
        self._folder, self._choice, self._scheduler, self._show = folder, choice, scheduler, show
        self._groups = Groups(sweep, choice, self._end)
        self._given: dict[str, list[Trial]] = {}
        self.progress, self.exhausted = progress, False

    def suggest(self, trial_id: str) -> Any:
        group = self._groups.next()
        if not group:
            self.exhausted = True
            return Searcher.FINISHED
        self._given[trial_id] = [each.trial for each in group]
        return {**self._constant, "assignments": [self._begin(each)._asdict() for each in group]}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._take(result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result and not error:
            self._take(result)

    def _begin(self, planned: Planned) -> Assignment:
        trial = planned.trial
        self.progress.running[trial.name] = trial
        self._scheduler.on_trial_add(NOBODY, named(trial.name))
        self._write(trial, Record(trial.parameters, trial.seed))
        folder = str(self._folder.run(trial.name).path.resolve())
        return Assignment(trial.name, folder, write_yaml(dump(planned.experiment)))

    def _take(self, result: dict[str, Any]) -> None:
        """A report of one of the trials; those that are not worth going on with are ended in their folders."""
        trial = self.progress.running.get(result.get("trial", ""))
        if trial is None:  # nobody was left, or it is said again after a process was lost
            return
        record = self.progress.records[trial.name]
        score = result.get("score", record.score)
        record = replace(record, score=score, generation=result["generation"])
        if result["message"]:
            self._end(trial, replace(record, status="failed", score=None, message=result["message"]))
        elif result["ended"]:
            self._scheduler.on_trial_complete(NOBODY, named(trial.name), result)
            self._end(trial, replace(record, status="finished"))
        elif "score" in result and self._gives_up(trial, result):
            self._end(trial, replace(record, status="stopped"))
        else:
            self.progress.records[trial.name] = record
            self._show(self.progress)

    def _gives_up(self, trial: Trial, result: dict[str, Any]) -> bool:
        return self._scheduler.on_trial_result(NOBODY, named(trial.name), result) == TrialScheduler.STOP

    def _end(self, trial: Trial, record: Record) -> None:
        self.progress.running.pop(trial.name, None)
        self._choice.tell(trial, math.inf if record.score is None else record.score)
        self._write(trial, record)

    def _write(self, trial: Trial, record: Record) -> None:
        self._folder.write(trial.name, record)
        self.progress.records[trial.name] = record
        self._show(self.progress)

    def lost(self, trial_id: str, reason: str) -> None:
        """Why a process ended without the results of its trials."""
        message = f"its process was lost {LOST_PROCESSES + 1} times; the last time: {reason}"
        for trial in self._given[trial_id]:
            if trial.name in self.progress.running:
                self._end(trial, Record(trial.parameters, trial.seed, "failed", message=message))

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


def scheduler_of(sweep: Sweep, folder: SweepFolder, records: dict[str, Record]) -> TrialScheduler:
    """The scheduler that gives trials up, told what those of earlier sessions reported."""
    if sweep.stop is None:
        return FIFOScheduler()
    stop = sweep.stop
    scheduler = ASHAScheduler("generation", "score", "min", LONGEST, stop.first, stop.factor, stop_last_trials=False)
    for name, record in records.items():
        if record.status not in ("finished", "stopped"):
            continue  # it will run again and report for itself
        run = folder.run(name)
        scheduler.on_trial_add(NOBODY, named(name))
        for generation, score in scores_over_time(run, run.experiment().task.headline, sweep.metric):
            scheduler.on_trial_result(NOBODY, named(name), {"generation": generation, "score": score})
    return scheduler


def _bundle(room: Room) -> dict[str, float]:
    return {"CPU": float(room.cores)} | ({"GPU": room.gpus} if room.gpus else {})


def refuse_without_room(room: Room, machines: list[dict[str, float]]) -> None:
    """Say now what Tune would wait for without end: one of the machines must have all that a process needs.

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
            f"a process of the sweep needs {asked} on one machine, as its room: says, but the machines have: {has}; "
            "ask for less, or join a larger cluster with --address"
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
