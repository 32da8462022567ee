"""The layout check of figures can fail: what sticks out and what overlaps is found."""

from matplotlib.figure import Figure

from tests.tools.layout import layout_problems


def test_what_sticks_out_or_overlaps_is_found():
    figure = Figure(figsize=(4, 3))
    figure.text(0.5, 0.5, "here")
    assert layout_problems(figure) == []
    figure.text(0.52, 0.5, "there")
    figure.text(0.97, 0.1, "far away")
    figure.legend([], [], title="a long title", loc="upper left")
    figure.text(0.05, 0.93, "above")
    assert layout_problems(figure) == [
        "'far away' sticks out",
        "'here' and 'there' overlap",
        "'above' and 'a long title' overlap",
        "'above' and a legend overlap",
    ]
