"""The pages in docs/ point to what exists: files, the code and test of every statement, the test of every promise."""

import ast
import re
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import pytest

from es_randomized import load
from tests.tools.command import TINY

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
MATHEMATICS = (ROOT / "docs" / "mathematics.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@cache
def names(path):
    """Classes, functions and methods that a file defines."""
    tree = ast.parse(path.read_text())
    kinds = (ast.ClassDef, ast.FunctionDef)
    own = {node.name for node in tree.body if isinstance(node, kinds)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return own | {f"{each.name}.{part.name}" for each in classes for part in each.body if isinstance(part, kinds)}


def statements():
    return dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", MATHEMATICS, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", statements())
def test_every_statement_has_its_code_and_its_test(title):
    links = re.findall(r"\[`(\S+?)::(\S+?)`\]\(\.\./(\S+?)\)", statements()[title])
    assert {path.split("/")[0] for _, _, path in links} == {"es_randomized", "tests"}
    for file, name, path in links:
        assert Path(path).name == file
        assert name in names(ROOT / path), f"{path} defines no {name}"


def test_every_promise_has_its_test():
    promises = re.findall(
        r"^\| .* \| (.*) \|$", (ROOT / "docs" / "reliability.md").read_text().partition("\n## ")[0], re.MULTILINE
    )
    assert len(promises) > 1
    for promise in promises[1:]:
        links = re.findall(r"\[`(\w+)`\]\(\.\./(tests/\S+?)\)", promise)
        assert links
        for name, path in links:
            assert name in names(ROOT / path)


def test_the_objective_on_the_page_of_your_own_parts(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "your_own_parts.md").read_text(), re.DOTALL)
    (tmp_path / "worst_two.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    objective = load(TINY, {"objective": {"kind": "worst_two", "weight": 0.7}}).objective
    assert float(objective.combine(jnp.array([-1.0, 3.0, 0.5, 2.0]))) == pytest.approx(0.7 * 3 + 0.3 * 2)
