"""The notebook: its cells run here with small numbers, and what it shows was made by running it from top to bottom."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.pages

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "randomized_colouring.ipynb"
CODE = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
SMALLER = {
    "= 300, 1500, 400, [3, 5, 10, 30, 100]": "= 2, 2, 60, [3, 30]",
    '"task.n": 8': '"task.n": 5',
    '"driver.population": 128': '"driver.population": 8',
}


@pytest.fixture
def figures(monkeypatch):
    """matplotlib without a screen; nothing stays open."""
    import matplotlib
    import matplotlib.pyplot as plt

    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)
    before = matplotlib.get_backend()
    plt.switch_backend("agg")
    yield plt
    plt.close("all")
    plt.switch_backend(before)


def test_its_cells_run_in_order(figures, capsys):
    """All but the last one, which does the same with gradient descent."""
    text = "\n".join("".join(cell["source"]) for cell in CODE[:-1])
    for shown, here in SMALLER.items():
        assert shown in text
        text = text.replace(shown, here)
    exec(compile(text, NOTEBOOK.name, "exec"), {"__name__": "notebook"})
    printed = capsys.readouterr().out
    assert "12 different cycles" in printed
    assert "cycles are never coloured with the frozen seed" in printed
    assert len(figures.get_fignums()) == 4


def test_what_it_shows_is_one_run_from_top_to_bottom():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    assert {out["output_type"] for cell in CODE for out in cell["outputs"]} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert NOTEBOOK.stat().st_size < 300_000
