"""The table and the sentence that end a comparison."""

from rich.table import Table

from es_randomized.evaluation.answers import AnswerDistance
from es_randomized.evaluation.compare import Comparison, Difference
from es_randomized.evaluation.line import Line, barrier
from es_randomized.evaluation.statistics import LEVELS
from es_randomized.tasks.measure import Measure, number

WHERE = {"average": "on average", "p95": "at the worst 5 % of the instances", "worst": "at the worst instance"}


def comparison_table(comparison: Comparison, a: str, b: str) -> Table:
    """A, B and their difference, measure by measure."""
    measure = comparison.measure
    title = f"{measure.label}, {comparison.sample}, {comparison.confidence:.0%} intervals"
    table = Table(title=title, title_justify="left", caption=_caption(comparison, a, b), caption_justify="left")
    table.add_column("")
    for column in ("A", "B", "A − B", "p"):
        table.add_column(column, justify="right")
    for way, differences in {"": comparison.differences, **comparison.votes}.items():
        table.add_section()
        for level, label in LEVELS.items():
            difference = differences[level]
            values = measure.text(difference.a), measure.text(difference.b)
            name = f"{label}, {way}" if way else label
            table.add_row(name, *values, _interval(difference, measure), _p(difference.p))
    return table


def sentence(comparison: Comparison, a: str, b: str) -> str:
    """What was found, in words."""
    parts: dict[str, list[str]] = {"A": [], "B": [], "": []}
    for level, where in WHERE.items():
        parts[comparison.better(level) or ""].append(where)
    names = {"A": (a, b), "B": (b, a)}
    better = [f"{names[who][0]} is better than {names[who][1]} {_and(parts[who])}" for who in names if parts[who]]
    if not better:
        return f"No difference was found between {a} and {b}."
    rest = f"; {_and(parts[''])} no difference was found" if parts[""] else ""
    return f"{', and '.join(better)}{rest}."


def same_algorithm(comparison: Comparison) -> list[str]:
    """Whether two runs have found the same algorithm: by their answers, and by their weights."""
    if comparison.answers is None:
        return []
    return [_answers_in_words(comparison.answers), _line_in_words(comparison.line)]


def _answers_in_words(answers: AnswerDistance) -> str:
    if not answers.chance.any() and not answers.distance.any():
        return "The same algorithm: on every instance both give one answer, and it is the same."
    verdict = {
        True: "Different algorithms",
        False: "No difference between the algorithms was found",
        None: "Too few seeds to tell whether the algorithms differ",
    }[answers.differ]
    distance, most, chance = answers.distance.mean(), answers.distance.max(), answers.chance.mean()
    return (
        f"{verdict}: the total variation between their answers is {distance:.2f} on average and {most:.2f} at most; between "
        f"two halves of the seeds of one run it is {chance:.2f} on average."
    )


def _line_in_words(line: Line | None) -> str:
    if line is None:
        return "Their models differ, so there is no straight line between their weights."
    text = (
        f"On the straight line between their weights the loss rises by {number(barrier(line.before))} above the line between "
        f"its ends, {number(line.before[0])} and {number(line.before[-1])}"
    )
    if line.after is None:
        return f"{text}; this kind of model does not say which of its units may swap."
    return f"{text}; after their units are matched by {number(barrier(line.after))}."


def _caption(comparison: Comparison, a: str, b: str) -> str:
    names = f"A is {a}, B is {b}."
    if comparison.per_instance is None:
        return names
    higher = float((comparison.per_instance > 0).mean())
    lower = float((comparison.per_instance < 0).mean())
    first, second = (higher, lower) if comparison.measure.higher_is_better else (lower, higher)
    return (
        f"{names} A did better on {first:.1%} of the instances, B on {second:.1%}. This is about these weights; whether "
        "their settings differ takes several training seeds of each."
    )


def _interval(difference: Difference, measure: Measure) -> str:
    value, low, high = (measure.change(x) for x in difference.difference)
    text = value if low == high else f"{value} [{low}, {high}]"
    return text.replace("-", "−")


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
