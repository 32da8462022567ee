"""Tables of a page as plain text: results, single runs, hardest instances, costs, settings."""

from typing import Any, NamedTuple

from es_randomized.config.yaml import dump
from es_randomized.evaluation.statistics import LEVELS, Levels
from es_randomized.evaluation.stored import Tree, levels_of
from es_randomized.report.material import Run, RunGroup, together
from es_randomized.tasks.measure import Measure

HARDEST = 5


class Table(NamedTuple):
    """A table whose first column names its rows.

    Attributes:
        caption: what it is about, with units.
        columns: including that of the names.
        rows: as many cells each.
        prose: whether its cells are words instead of numbers.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    prose: bool = False


def side_by_side(groups: list[RunGroup]) -> Table:
    """What is measured of one run on each instance, group by group, and what is known."""
    rows = []
    for group in groups:
        seeds = f"{len(group.summaries)} training seed{'s' if len(group.summaries) > 1 else ''}"
        rows.append(
            [f"{group.name}, {seeds}", *_together([levels_of(tree) for tree in group.summaries], group.measure)]
        )
    measure = groups[0].measure
    intervals = "mean over training seeds, 95% intervals over them (a single training seed has its own)"
    caption = f"All groups: {measure.label}, one run on each instance, {intervals}"
    return Table(caption, ["group", *LEVELS.values()], rows + _references(groups[0].summaries[0], measure))


def results(group: RunGroup, references: bool) -> Table:
    """What is measured of every way to answer, every training run, and what is known if `references`.

    A single run has its own intervals; several have their mean with an interval over training seeds.
    """
    trees, measure = group.summaries, group.measure
    rows = [[name, *_together(levels, measure)] for name, levels in _ways(trees, measure).items()]
    intervals = f"{trees[0]['sample']['confidence']:.0%} intervals"
    if len(trees) > 1:
        intervals = f"mean of {len(trees)} training seeds, 95% intervals over them, and each of them with its own"
        for run in group.members:
            if run.summary:
                rows.append([f"one run, training seed {run.seed}", *_cells(levels_of(run.summary), measure)])
    rows += _references(trees[0], measure) if references else []
    return Table(f"{group.name}: {measure.label}, {_sample(trees[0])}, {intervals}", ["policy", *LEVELS.values()], rows)


def hardest(run: Run) -> Table:
    """The instances that did worst."""
    score: Any = run.score
    measure = score.measure
    order = measure.worst_first(score.per_instance)[:HARDEST]
    rows = [
        [f"{n:,}", *(str(label[n]) for label in score.labels.values()), measure.text(float(score.per_instance[n]))]
        for n in order
    ]
    caption = f"{run.name}: the {len(order)} hardest of {len(score.per_instance):,} instances"
    return Table(caption, ["instance", *score.labels, measure.label], rows)


def costs(groups: list[RunGroup]) -> Table:
    """The ledger of training, run by run."""
    rows = [[run.name, *_cost(run)] for group in groups for run in group.members]
    columns = ["run", "generations", "rollouts", "tokens", "GFLOP", "seconds", "device seconds", "device"]
    return Table("What training cost: checks and evaluation are not counted", columns, rows)


def settings(groups: list[RunGroup]) -> Table | None:
    """The settings in which groups differ; None where there is nothing to tell apart."""
    flat = [_flat(dump(group.experiment)) for group in groups]
    names = dict.fromkeys(name for flattened in flat for name in flattened if not name.startswith(("plan.", "seed")))
    different = [name for name in names if len({flattened.get(name, "–") for flattened in flat}) > 1]
    if not different:
        return None
    rows = [[name, *(flattened.get(name, "–") for flattened in flat)] for name in different]
    return Table(
        "Settings in which the groups differ", ["setting", *(group.name for group in groups)], rows, prose=True
    )


def origins(groups: list[RunGroup]) -> Table:
    """When, with what and where every run was trained."""
    rows = []
    for run in (run for group in groups for run in group.members):
        packages = run.origin.get("packages", {})
        versions = ", ".join(f"{name} {packages[name]}" for name in ("jax", "evosax", "optax") if packages.get(name))
        begun, revision = (str(run.origin.get(name) or "–") for name in ("date", "revision"))
        rows.append([run.name, begun.replace("T", " ")[:16], revision, versions or "–", str(run.folder.path)])
    return Table("Where the runs come from", ["run", "begun (UTC)", "revision", "packages", "folder"], rows, prose=True)


def _together(runs: list[Levels], measure: Measure) -> list[str]:
    return _cells(Levels(*(together(list(same), measure.bounds) for same in zip(*runs, strict=True))), measure)


def _references(tree: Tree, measure: Measure) -> list[list[str]]:
    return [
        [r["name"], *("–" if r[name] is None else measure.text(r[name]) for name in LEVELS)] for r in tree["references"]
    ]


def _ways(trees: list[Tree], measure: Measure) -> dict[str, list[Levels]]:
    """Every way to answer that all runs have, by its name."""
    ways: dict[str, list[Levels]] = {"learned, one run": [levels_of(tree) for tree in trees]}
    kinds = {
        "majority": "learned, majority of {}",
        "pooled": "learned, {} runs pooled",
        "best_of": "learned, best of {}",
    }
    for kind, name in kinds.items() if measure.counts_successes else ():
        for k in trees[0].get(kind, {}):  # evaluations of before have nothing pooled
            if all(k in tree.get(kind, {}) for tree in trees):
                ways[name.format(k)] = [levels_of(tree[kind][k]) for tree in trees]
    if all("twin" in tree for tree in trees):
        ways["the same, seed frozen"] = [levels_of(tree["twin"]) for tree in trees]
    return ways


def _cost(run: Run) -> list[str]:
    if not len(run.metrics):
        return ["0", *["–"] * 6]
    last = run.metrics.slice(len(run.metrics) - 1).to_pylist()[0]
    counts = [f"{last[name]:,}" for name in ("rollouts", "tokens")]
    times = [f"{last[name]:,.0f}" for name in ("seconds", "device_seconds")]
    generations = f"{last['generation'] + 1:,}"
    return [generations, *counts, f"{last['flops'] / 1e9:,.1f}", *times, str(run.origin.get("device", "–"))]


def _cells(levels: Levels, measure: Measure) -> list[str]:
    # On a phone an interval goes under its number, as a whole.
    return [measure.interval(estimate).replace(", ", ",\N{NO-BREAK SPACE}") for estimate in levels]


def _sample(tree: Tree) -> str:
    sample = tree["sample"]
    seeds = f" × {sample['seeds']} fresh seeds" if tree["randomness"] == "seed" else ", frozen seed"
    return f"{sample['instances']:,} instances{' (all)' if sample['enumerated'] else ''}{seeds}"


def _flat(tree: Tree, above: str = "") -> dict[str, str]:
    """Settings by their dotted names."""
    flat: dict[str, str] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": str(value)}
    return flat
