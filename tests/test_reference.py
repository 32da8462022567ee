"""The reference is generated from docstrings without a warning, and has a page for every module."""

from pathlib import Path
from pkgutil import iter_modules

import pytest

import es_randomized

ROOT = Path(es_randomized.__file__).parent


# What pydantic knows while it is type-checked only:
@pytest.mark.filterwarnings("ignore:Failed to run TYPE_CHECKING code")
@pytest.mark.filterwarnings("ignore:Error parsing type annotation PydanticDataclass")
def test_every_module_has_its_page(tmp_path):
    pdoc = pytest.importorskip("pdoc")
    pdoc.render.configure(docformat="google", math=True)
    parts = [part.name for part in iter_modules([str(ROOT)], "es_randomized.") if "__" not in part.name]
    parts.remove("es_randomized.train")  # exported, so it is there already
    pdoc.pdoc("es_randomized", *parts, output_directory=tmp_path)
    modules = [
        path.relative_to(ROOT).with_suffix("")
        for path in ROOT.rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    pages = [
        path.relative_to(tmp_path / "es_randomized").with_suffix("")
        for path in tmp_path.rglob("es_randomized/**/*.html")
    ]
    assert {path for path in modules if path not in pages} == set()
    text = (tmp_path / "es_randomized" / "strategies" / "strategy.html").read_text()
    assert "Losses in, weights out" in text
