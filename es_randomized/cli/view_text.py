"""Words and numbers of the live view, laid out for any width."""

from collections.abc import Iterable

from rich.text import Text

from es_randomized.runs.metrics import MetricsRow

INDENT, GAP = 8, 3


def flow(title: str, parts: Iterable[Text | str], width: int) -> Text:
    """Parts side by side under a title, broken between parts."""
    text, used = Text(f"{title:<{INDENT}}", style="bold"), INDENT
    lines = Text.assemble(text)
    for index, part in enumerate(Text(part) if isinstance(part, str) else part for part in parts):
        gap = GAP if index else 0
        if index and used + gap + part.cell_len > width:
            lines.append("\n" + " " * INDENT)
            gap, used = 0, INDENT
        lines.append(" " * gap).append_text(part)
        used += gap + part.cell_len
    return lines


def held_out(row: MetricsRow) -> list[str]:
    """What a check of the centre found; nothing in rows without one."""
    if "held_out_average" not in row:
        return []
    return [f"{name} {row['held_out_' + name]:.3g}" for name in ("average", "p95", "worst")]


def not_finite(row: MetricsRow) -> str:
    """How many losses were NaN or infinite."""
    return f"{row['non_finite']} not finite"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def quantity(value: float) -> str:
    """A rate with the digits that matter."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 10 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
