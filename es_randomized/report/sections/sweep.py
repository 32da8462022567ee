"""A sweep: how its trials learned, what the best settings came to, and the table of all of them."""

from es_randomized.report import tables
from es_randomized.report.material import missing, read
from es_randomized.report.section import Section
from es_randomized.report.sections.histograms import histograms
from es_randomized.report.sweep.curves import sweep_learning
from es_randomized.report.sweep.parallel import parallel_coordinates
from es_randomized.report.sweep.trials import SweepTrials, shown, summary, trials_table
from es_randomized.runs.folder import RunFolder


def sections(name: str, trials: SweepTrials) -> list[Section]:
    """How its trials learned, what the best settings came to, and the table of all of them."""
    figures = [figure for draw in (sweep_learning, parallel_coordinates) if (figure := draw(name, trials))]
    first = Section(name, f"Sweep: {trials.name}", [summary(trials)], figures=figures)
    last = Section(f"{name}-trials", f"Trials of {trials.name}", tables=[trials_table(trials)])
    return [first, *_best(f"{name}-best", trials), last]


def _best(name: str, trials: SweepTrials) -> list[Section]:
    """The evaluation of the best settings, where the folders of their trials are there."""
    rows = trials.points[0].rows if trials.points else []
    folders = [folder for row in rows if (folder := RunFolder(trials.folder / row["trial"])).experiment_file.exists()]
    if not folders:
        return []
    groups = read(folders)
    settings = ", ".join(f"{setting} {shown(rows[0][setting])}" for setting in trials.settings)
    text = [
        f"{settings}: the best of {trials.among} by the {trials.score.label}. The best of many looks better than it is, "
        "because what was best by chance is among them; train it again with other seeds before you report it.",
        f"A page about it: es-randomized report {' '.join(str(folder.path) for folder in folders)}",
        *(lacking for group in groups for run in group.members if (lacking := missing(run))),
    ]
    results = [tables.results(group, references=True) for group in groups if group.summaries]
    figures = [figure._replace(name=f"{name}-{figure.name}") for figure in histograms(groups)]
    return [Section(name, f"Best settings of {trials.name}", text, results, figures)]
