"""Tables of a page as plain text: results, single runs, hardest instances, costs, settings."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from es_randomized.config.yaml import dump
from es_randomized.evaluation.statistics import Rates
from es_randomized.evaluation.stored import Tree, rates_of
from es_randomized.report.material import Run, RunGroup, largest, together
from es_randomized.report.table import cell, number, percent

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


MEASURES = ["average", "95th percentile", "worst"]


def side_by_side(groups: list[RunGroup]) -> Table:
    """The headline of one run on each instance, group by group, and what is known."""
    rows = []
    for group in groups:
        seeds = f"{len(group.summaries)} training seed{'s' if len(group.summaries) > 1 else ''}"
        rows.append([f"{group.name}, {seeds}", *_together([rates_of(tree) for tree in group.summaries], group)])
    tree = groups[0].summaries[0]
    intervals = "mean over training seeds, 95% intervals over them (a single training seed has its own)"
    caption = f"All groups: {_what(tree)}, one run on each instance, {intervals}"
    return Table(caption, ["group", *MEASURES], rows + _references(tree))


def results(group: RunGroup, references: bool) -> Table:
    """The headline of every way to answer, every training run, and what is known if `references`.

    A single run has its own intervals; several have their mean with an interval over training seeds.
    """
    trees = group.summaries
    rows = [[name, *_together(found, group)] for name, found in _ways(trees).items()]
    intervals = f"{trees[0]['sample']['confidence']:.0%} intervals"
    if len(trees) > 1:
        intervals = f"mean of {len(trees)} training seeds, 95% intervals over them, and each of them with its own"
        for run in group.members:
            if run.summary:
                rows.append([f"one run, training seed {run.seed}", *_cells(rates_of(run.summary), run.summary)])
    rows += _references(trees[0]) if references else []
    return Table(f"{group.name}: {_what(trees[0])}, {_sample(trees[0])}, {intervals}", ["policy", *MEASURES], rows)


def hardest(run: Run) -> Table:
    """The instances that did worst."""
    score: Any = run.score
    success = score.headline == "success"
    show = percent if success else number
    order = np.argsort(score.per_instance if success else -score.per_instance, kind="stable")[:HARDEST]
    rows = [
        [f"{n:,}", *(str(label[n]) for label in score.labels.values()), show(float(score.per_instance[n]))]
        for n in order
    ]
    what = "success in %" if success else score.unit
    caption = f"{run.name}: the {len(order)} hardest of {len(score.per_instance):,} instances"
    return Table(caption, ["instance", *score.labels, what], rows)


def costs(groups: list[RunGroup]) -> Table:
    """The ledger of training, run by run."""
    rows = [[run.name, *_cost(run)] for group in groups for run in group.members]
    columns = ["run", "generations", "rollouts", "tokens", "GFLOP", "seconds", "device seconds", "device"]
    return Table("What training cost: checks and evaluation are not counted", columns, rows)


def settings(groups: list[RunGroup]) -> Table | None:
    """The settings in which groups differ; None where there is nothing to tell apart."""
    flat = [_flat(dump(group.experiment)) for group in groups]
    names = dict.fromkeys(name for each in flat for name in each if not name.startswith(("plan.", "seed")))
    different = [name for name in names if len({each.get(name, "–") for each in flat}) > 1]
    if not different:
        return None
    rows = [[name, *(each.get(name, "–") for each in flat)] for name in different]
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


def _together(rates: list[Rates], group: RunGroup) -> list[str]:
    most = largest(group.experiment)
    return _cells(Rates(*(together(list(same), most) for same in zip(*rates, strict=True))), group.summaries[0])


def _references(tree: Tree) -> list[list[str]]:
    show = _show(tree)
    return [
        [r["name"], *("–" if r[name] is None else show(r[name]) for name in ("average", "p95", "worst"))]
        for r in tree["references"]
    ]


def _ways(trees: list[Tree]) -> dict[str, list[Rates]]:
    """Every way to answer that all runs have, by its name."""
    ways: dict[str, list[Rates]] = {"learned, one run": [rates_of(tree) for tree in trees]}
    kinds = {"majority": "learned, majority of {}", "best_of": "learned, best of {}"}
    for kind, name in kinds.items() if trees[0]["headline"] == "success" else ():
        for k in trees[0][kind]:
            if all(k in tree[kind] for tree in trees):
                ways[name.format(k)] = [rates_of(tree[kind][k]) for tree in trees]
    if all("twin" in tree for tree in trees):
        ways["the same, seed frozen"] = [rates_of(tree["twin"]) for tree in trees]
    return ways


def _cost(run: Run) -> list[str]:
    if not len(run.metrics):
        return ["0", *["–"] * 6]
    last = run.metrics.slice(len(run.metrics) - 1).to_pylist()[0]
    counts = [f"{last[name]:,}" for name in ("rollouts", "tokens")]
    times = [f"{last[name]:,.0f}" for name in ("seconds", "device_seconds")]
    generations = f"{last['generation'] + 1:,}"
    return [generations, *counts, f"{last['flops'] / 1e9:,.1f}", *times, str(run.origin.get("device", "–"))]


def _cells(rates: Rates, tree: Tree) -> list[str]:
    # On a phone an interval goes under its number, as a whole.
    return [cell(estimate, _show(tree)).replace(", ", ",\N{NO-BREAK SPACE}") for estimate in rates]


def _show(tree: Tree) -> Callable[[float], str]:
    return percent if tree["headline"] == "success" else number


def _what(tree: Tree) -> str:
    return "success in %" if tree["headline"] == "success" else f"{tree['unit']} (lower is better)"


def _sample(tree: Tree) -> str:
    sample = tree["sample"]
    seeds = f" × {sample['seeds']} fresh seeds" if tree["randomness"] == "seed" else ", frozen seed"
    return f"{sample['instances']:,} instances{' (all)' if sample['enumerated'] else ''}{seeds}"


def _flat(tree: Tree, above: str = "") -> dict[str, str]:
    """Settings by their dotted names."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": str(value)}
    return found
