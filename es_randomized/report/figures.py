"""Figures of a page: drawn by matplotlib, each with a caption and with words for those who do not see it."""

import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from es_randomized.report.palette import FAINT, INK, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    Area = Figure | SubFigure
else:  # a second that `import es_randomized.report` should not cost
    Axes = Area = Any

DOTS_PER_INCH = 160
NARROW, WIDE = 5.2, 8.4  # inches; narrow ones stand side by side and can be read on a phone

# Colour, line and marker together tell curves apart, the strongest contrasts first.
STYLES: tuple[dict[str, Any], ...] = tuple(
    {"color": colour, "linestyle": line, "marker": marker}
    for colour, line, marker in (
        (PALETTE[0], "-", "o"),
        (PALETTE[5], "--", "s"),
        (PALETTE[2], "-.", "^"),
        (PALETTE[3], ":", "D"),
        (INK, (0, (5, 1)), "v"),
        (PALETTE[1], (0, (3, 1, 1, 1)), "P"),
        (PALETTE[4], (0, (1, 1)), "X"),
    )
)
# Of the best few among many.
BEST_STYLES: tuple[dict[str, Any], ...] = STYLES[:3]
LETTERS_PER_INCH = 11  # of a legend, at most
LOOK = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 10,
}


class PageFigure(NamedTuple):
    """A picture that is ready for a page.

    Attributes:
        name: of its file, without ending.
        caption: what it shows and how to read it.
        alt: what is to be seen, in words.
        png: the picture, which may be animated.
        width: in inches.
        moving: whether it is animated; it waits until somebody wants to see it.
    """

    name: str
    caption: str
    alt: str
    png: bytes
    width: float
    moving: bool = False


def drawn(name: str, caption: str, size: tuple[float, float], draw: Callable[[Area], str]) -> PageFigure:
    """Draw a figure; `draw` takes a matplotlib figure and returns the words for it."""
    with looking():
        canvas = blank(size)
        alt = draw(canvas)
        content = io.BytesIO()
        canvas.savefig(content, format="png")
    return PageFigure(name, caption, alt, content.getvalue(), size[0])


def blank(size: tuple[float, float]) -> Any:
    """An empty matplotlib figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure: Any = Canvas(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looking() -> Any:
    """The look all figures of a page share."""
    import matplotlib

    return matplotlib.rc_context(LOOK)  # type: ignore[arg-type]


def style(number: int) -> dict[str, Any]:
    """How the curve of a group is drawn."""
    return STYLES[number % len(STYLES)]


def wrapped(label: str, width: float) -> str:
    """A label for a legend, or for an axis, of so many inches: over as many lines as it takes."""
    return textwrap.fill(label, round(LETTERS_PER_INCH * width))


def grid(axes: Axes) -> None:
    """Faint lines to read values by."""
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)


def legend_below(figure: Area, axes: Axes, columns: int = 1) -> None:
    """A legend under the axes, where it hides nothing; none for a single curve."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        figure.legend(handles, labels, loc="outside lower left", ncols=columns)
