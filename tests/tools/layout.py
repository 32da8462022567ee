"""Is a picture laid out well? What is written lies inside it, and neither texts nor legends cover each other."""

from itertools import combinations

import pytest
from matplotlib.legend import Legend
from matplotlib.text import Text

TOLERANCE = 0.01  # inches; the box of a text is a little larger than its letters


def layout_problems(figure):
    """What sticks out of a figure and what overlaps, in words; empty where all is well."""
    texts, legends, room = _written(figure), figure.findobj(Legend), TOLERANCE * figure.dpi
    boxes = {text: text.get_window_extent() for text in texts} | {each: each.get_window_extent() for each in legends}
    owner = {text: legend for legend in legends for text in legend.findobj(Text)}
    problems = [f"{_said(part)} sticks out" for part, box in boxes.items() if not _holds(figure.bbox.padded(room), box)]
    return problems + [
        f"{_said(one)} and {_said(other)} overlap"
        for one, other in combinations(boxes, 2)
        if one is not owner.get(other) and other is not owner.get(one) and _overlap(boxes[one], boxes[other], room)
    ]


def _written(figure):
    """Every text that is drawn; ticks beyond the ends of an axis have labels that never are."""
    found, draw = {}, Text.draw

    def noted(text, *arguments, **options):
        if text.get_visible() and text.get_text().strip():
            found[text] = None
        return draw(text, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", noted)
        figure.draw_without_rendering()
    return list(found)


def _holds(outer, box):
    return outer.x0 <= box.x0 and outer.y0 <= box.y0 and box.x1 <= outer.x1 and box.y1 <= outer.y1


def _overlap(one, other, room):
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return min(across, up) > room


def _said(part):
    return "a legend" if isinstance(part, Legend) else repr(part.get_text())
