"""Which trials share a process and what becomes of each; who runs them is in runner.py and run.py.

All there is to know is in the run folders: trials that were interrupted in any way begin anew with those that are left.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from es_randomized.config.yaml import dump, write_yaml
from es_randomized.drivers.program_sharing import programs_of
from es_randomized.errors import ConfigError
from es_randomized.evaluation.of_runs import start_of
from es_randomized.runs.start import write_start
from es_randomized.runs.storage import saying_what_failed
from es_randomized.trials.attempt import Assignment, Report, scores_over_time
from es_randomized.trials.halving import Halving
from es_randomized.trials.progress import Progress
from es_randomized.trials.sweep import Metric, Stop
from es_randomized.trials.trial import Record, Records, Trial, TrialsFolder


def no_more(_: Records) -> list[Trial]:
    """What follows a list of trials: none."""
    return []


@dataclass(frozen=True)
class Study:
    """Trials to be run.

    Attributes:
        folder: where they are kept.
        trials: to begin or to go on with, in this order.
        records: of those that began earlier.
        total: how many there are in all, at most.
        more: the trials that come next when those are handed out, by what is known then; none when there are none left.
        metric: what they are compared by.
        stop: when one is stopped early; never by default.
        trials_per_process: at most, where their programs are the same.
    """

    folder: TrialsFolder
    trials: list[Trial]
    records: Records
    total: int
    more: Callable[[Records], list[Trial]] = no_more
    metric: Metric = "p95"
    stop: Stop | None = None
    trials_per_process: int = 1


class Queue:
    """Hands out trials in groups, takes their reports and writes down what becomes of them.

    Args:
        show: called with the progress whenever there is some.

    Attributes:
        progress: what has become of them so far.
    """

    def __init__(self, study: Study, show: Callable[[Progress], None] = lambda _: None) -> None:
        self.progress = Progress(study.total, dict(study.records))
        self._study, self._show = study, show
        self._left = deque(study.trials)
        self._asked_for: Records = {}  # trials that nobody knew beforehand
        self._passed_over: list[Trial] = []
        self._halving = halving_of(study)

    @property
    def empty(self) -> bool:
        """Whether every trial was handed out."""
        if not self._left:
            self._left.extend(self._study.more(self._asked_for | self.progress.records))
            self._asked_for |= {trial.name: Record(trial.parameters, trial.seed) for trial in self._left}
        return not (self._left or self._passed_over)

    @property
    def interrupted(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.progress.running) or not self.empty

    def group(self) -> list[Assignment]:
        """Trials for one process; none when there are none left.

        Looks at most as many trials ahead for some that go together; those it passes over come next.
        """
        most, group = self._study.trials_per_process, list[Trial]()
        waiting, self._passed_over = self._passed_over, []
        while len(group) < most and len(self._passed_over) < most:
            trial = waiting.pop(0) if waiting else self._next()
            if trial is None:
                break
            same = not group or programs_of(trial.experiment) == programs_of(group[0].experiment)
            (group if same else self._passed_over).append(trial)
        self._passed_over += waiting
        return [self._begin(trial) for trial in group]

    def take(self, report: Report) -> None:
        """A report of a trial. One that is not worth going on with is ended by its record, which its process reads."""
        name = report.name
        if name not in self.progress.running:  # said again after its process was lost
            return
        record = self.progress.records[name]
        score = record.score if report.score is None else report.score
        record = replace(record, score=score, generation=report.generation)
        if report.message:
            self._end(name, replace(record, status="failed", score=None, message=report.message))
        elif report.done:
            self._goes_on(report)
            self._end(name, replace(record, status="finished"))
        elif not self._goes_on(report):
            self._end(name, replace(record, status="stopped"))
        else:
            self.progress.records[name] = record
            self._show(self.progress)

    def left(self, assignments: list[Assignment]) -> list[Assignment]:
        """Those that did not end."""
        return [assignment for assignment in assignments if assignment.name in self.progress.running]

    def lost(self, assignments: list[Assignment], reason: str) -> None:
        """A process ended for good without the results of its trials."""
        for assignment in self.left(assignments):
            record = self.progress.records[assignment.name]
            self._end(assignment.name, replace(record, status="failed", score=None, message=reason))

    def _next(self) -> Trial | None:
        while not self.empty and self._left:
            trial = self._left.popleft()
            try:
                self._keep_start(trial)  # reads and checks its experiment
                return trial
            except ConfigError as error:  # a point that nobody knew beforehand, or nothing to start from
                self._write(trial.name, Record(trial.parameters, trial.seed, "failed", message=str(error)))
        return None

    def _keep_start(self, trial: Trial) -> None:
        """Put the weights that a new trial starts from into its folder: other machines may not see where they are from."""
        start, run = start_of(trial.experiment), self._study.folder.run(trial.name)
        if start and not run.experiment_file.exists():
            with saying_what_failed(run.start_file):
                run.path.mkdir(parents=True, exist_ok=True)
            write_start(run.start_file, start)

    def _begin(self, trial: Trial) -> Assignment:
        self.progress.running[trial.name] = trial.experiment.budget.generations
        self._write(trial.name, Record(trial.parameters, trial.seed))
        folder = str(self._study.folder.run(trial.name).path.resolve())
        return Assignment(trial.name, folder, write_yaml(dump(trial.experiment)), trial.sources, self._study.metric)

    def _goes_on(self, report: Report) -> bool:
        if self._halving is None or report.score is None:
            return True
        return self._halving.goes_on(report.name, report.generation, report.score)

    def _end(self, name: str, record: Record) -> None:
        del self.progress.running[name]
        self._write(name, record)

    def _write(self, name: str, record: Record) -> None:
        self._study.folder.write(name, record)
        self.progress.records[name] = record
        self._show(self.progress)


def halving_of(study: Study) -> Halving | None:
    """The rule that stops trials early, told what those of earlier sessions reported."""
    if study.stop is None:
        return None
    halving = Halving(study.stop)
    for name, record in study.records.items():
        run = study.folder.run(name)
        if record.status != "failed" and run.experiment_file.exists():  # what failed reports again
            for generation, score in scores_over_time(run, run.experiment().task.measure, study.metric):
                halving.goes_on(name, generation, score)
    return halving
