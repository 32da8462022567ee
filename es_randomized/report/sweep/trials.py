"""A sweep as a page shows it: its trials, their settings from the best to the worst, and what its score measures."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, cast

from es_randomized.errors import RunFolderError
from es_randomized.evaluation.statistics import Estimate
from es_randomized.report.material import together
from es_randomized.report.tables import Table
from es_randomized.runs.checked import read_parquet
from es_randomized.runs.folder import RunFolder
from es_randomized.tasks.measure import Bounds, Measure
from es_randomized.trials.sweep import Metric
from es_randomized.trials.table import TrialRow
from es_randomized.trials.trial import short_names

FILE = "trials.parquet"
AFTER_SETTINGS = "trial"  # the first column of the table that is no setting
MOST_ROWS = 50
LABELS = {"average": "average {}", "p95": "{} at the 95th percentile", "worst": "{} of the worst input"}


class SweepScore(NamedTuple):
    """What the score of a sweep is; lower is better.

    Attributes:
        label: for people, with the unit.
        column: of a trial's metrics that shows it while it trains; None where nothing but the table is known.
        measure: of the column, of which the score is the lower-is-better form.
    """

    label: str = "score"
    column: str | None = None
    measure: Measure = Measure()

    @property
    def scale(self) -> int:
        """What scores are multiplied by to be shown."""
        return self.measure.scale

    @property
    def bounds(self) -> Bounds:
        """Of a score."""
        return self.measure.loss_form.bounds

    def shown(self, value: float | None) -> str:
        """A score for people, in the unit of the label."""
        return shown(None if value is None else self.scale * value)

    def interval(self, estimate: Estimate) -> str:
        """A score with its interval, if it has one."""
        value, low, high = map(self.shown, estimate)
        return value if low == high else f"{value} [{low}, {high}]"


class Point(NamedTuple):
    """Settings, and the trials that have them: one for every training seed.

    Attributes:
        name: what the names of its trials have in common.
        rows: of the table; those that came to a score.
        estimate: of the score; with several training seeds their mean, with an interval over them.
    """

    name: str
    rows: list[TrialRow]
    estimate: Estimate

    @property
    def finished(self) -> bool:
        """Whether every one of them was trained to its end."""
        return all(row["status"] == "finished" for row in self.rows)


class SweepTrials(NamedTuple):
    """The table of a sweep.

    Attributes:
        folder: where the run folders of its trials are.
        settings: that were varied.
        rows: those with a score first, the best before all.
        points: those with a score, the best first, but those that were not trained to the end after all others.
    """

    folder: Path
    settings: list[str]
    rows: list[TrialRow]
    points: list[Point]
    score: SweepScore

    @property
    def name(self) -> str:
        """Of the sweep."""
        return self.folder.resolve().name

    @property
    def among(self) -> str:
        """Of which points the first one is the best."""
        finished, points = sum(point.finished for point in self.points), len(self.points)
        return f"{points}" if finished in (0, points) else f"those trained to the end ({finished} of {points})"

    def label(self, point: Point) -> str:
        """A point with its score."""
        seeds = f" ({len(point.rows)} seeds)" if len(point.rows) > 1 else ""
        return f"{point.name}{seeds}: {self.score.interval(point.estimate)}"


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds the table of a sweep."""
    return (folder / FILE).is_file()


def read_trials(folder: Path) -> SweepTrials:
    """The trials of a sweep.

    Raises:
        RunFolderError: the table, or a trial's experiment, is damaged.
    """
    try:
        table = read_parquet(folder / FILE)
        settings = table.column_names[: table.column_names.index(AFTER_SETTINGS)]
        rows = sorted(table.to_pylist(), key=_place)
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(f"{folder / FILE} is damaged ({error}); write it again with es-randomized sweep") from None
    metric = (table.schema.metadata or {}).get(b"metric", b"").decode()
    begun = next((run for row in rows if (run := RunFolder(folder / row["trial"])).experiment_file.exists()), None)
    score = score_of(cast(Metric, metric), begun.experiment().task.measure) if metric and begun else SweepScore()
    return SweepTrials(folder, settings, rows, _points(settings, rows, score), score)


def score_of(metric: Metric, measure: Measure) -> SweepScore:
    """What the score of a sweep by a metric is, where the task has this measure."""
    if metric == "loss":
        return SweepScore("training loss at the last check", "loss_mean")
    label = LABELS[metric].format(measure.loss_form.noun) + measure.percent_sign
    return SweepScore(label, f"held_out_{metric}", measure)


def summary(trials: SweepTrials) -> str:
    """One sentence: how many trials there are and what became of them."""
    counted = Counter(row["status"] for row in trials.rows)
    states = ", ".join(f"{count} {status}" for status, count in counted.items())
    several = len(trials.points) > 1 and any(len(point.rows) > 1 for point in trials.points)
    settings = f" of {len(trials.points)} settings" if several else ""
    again = (
        " There are no curves: the folders of the trials are not here, or the table is of an older version; "
        "es-randomized sweep writes it again."
    )
    return (
        f"{len(trials.rows)} trials{settings}: {states}. Compared by the {trials.score.label}, where lower is better."
        f"{again if trials.score.column is None else ''}"
    )


def trials_table(trials: SweepTrials) -> Table:
    """What every trial was and came to; the best ones where there are many."""
    rows = [
        [
            row["trial"],
            trials.score.shown(row["score"]),
            *(shown(row.get(name)) for name in (*trials.settings, "seed", "status", "generations", "seconds", "loss")),
        ]
        for row in trials.rows[:MOST_ROWS]
    ]
    some = f", the first {len(rows)} of {len(trials.rows)}" if len(rows) < len(trials.rows) else ""
    names = short_names(trials.settings).values()
    columns = ["trial", trials.score.label, *names, "seed", "status", "generations", "seconds", "last loss"]
    caption = f"{trials.name}: trials{some}, the best first by the {trials.score.label}, where lower is better"
    return Table(caption, columns, rows)


def shown(value: Any) -> str:
    """A value of the table for people."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _points(settings: list[str], rows: list[TrialRow], score: SweepScore) -> list[Point]:
    by_settings: dict[tuple[Any, ...], list[TrialRow]] = {}
    for row in rows:
        if row["score"] is not None:
            by_settings.setdefault(tuple(row[name] for name in settings), []).append(row)
    points = [_point(same, score) for same in by_settings.values()]
    return sorted(points, key=lambda point: (not point.finished, point.estimate.value))


def _point(rows: list[TrialRow], score: SweepScore) -> Point:
    name = rows[0]["trial"].removesuffix(f"-seed{rows[0]['seed']}")
    scores = [Estimate(row["score"], row["score"], row["score"]) for row in rows]
    return Point(name, sorted(rows, key=lambda row: int(row["seed"])), together(scores, score.bounds))


def _place(row: TrialRow) -> tuple[bool, bool, float]:
    """Trained to the end before given up, and among these by score; those without one last."""
    score = row["score"]
    return score is None, row["status"] != "finished", 0.0 if score is None else score
