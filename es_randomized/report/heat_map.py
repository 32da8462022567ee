"""A heat map whose cells show their numbers."""

from typing import Any

import numpy as np
from jaxtyping import Float

from es_randomized.report.figures import Axes
from es_randomized.report.palette import INK, PALE

DARK = 0.5  # luminance below which a number must be white


def heat_map(
    axes: Axes,
    values: Float[np.ndarray, "row column"],
    limits: tuple[float, float],
    digits: int | None,
    size: float = 9.0,
    colours: str = "Blues",
) -> Any:
    """Draw values between two limits; returns the image for a colour bar.

    Args:
        values: NaN leaves a cell grey.
        digits: after the point; None leaves the numbers out.
        size: of the numbers in points.
        colours: Blues is dark where values are large, Blues_r where they are small.
    """
    image = axes.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1])
    axes.set_facecolor(PALE)
    axes.set_xticks([])
    axes.set_yticks([])
    if digits is not None:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink, text = ink_on(image.cmap(image.norm(value))), f"{value:.{digits}f}"
                axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
    return image


def ink_on(colour: Any) -> str:
    """White or nearly black, whichever can be read on a colour (red, green, blue, ... in [0, 1])."""
    return "white" if float(np.dot(colour[:3], [0.299, 0.587, 0.114])) < DARK else INK
