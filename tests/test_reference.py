"""The reference is generated from docstrings without a warning, and has a page for every module.

Two packages here, which takes two seconds; `make reference` makes the pages of all of them.
"""

from pathlib import Path

import pytest

import es_randomized

ROOT = Path(es_randomized.__file__).parent
PACKAGES = ("strategies", "references")


# What pydantic knows while it is type-checked only:
@pytest.mark.filterwarnings("ignore:Failed to run TYPE_CHECKING code")
@pytest.mark.filterwarnings("ignore:Error parsing type annotation PydanticDataclass")
def test_every_module_has_its_page(tmp_path):
    pdoc = pytest.importorskip("pdoc")
    pdoc.render.configure(docformat="google", math=True)
    pdoc.pdoc(*(f"es_randomized.{name}" for name in PACKAGES), output_directory=tmp_path)
    modules = {path.relative_to(ROOT).with_suffix("") for name in PACKAGES for path in (ROOT / name).glob("[a-z]*.py")}
    found = tmp_path / "es_randomized"
    assert len(modules) > 10
    assert modules <= {path.relative_to(found).with_suffix("") for path in found.rglob("*.html")}
    text = (found / "strategies" / "strategy.html").read_text()
    assert "Losses in, weights out" in text
