"""The README says what is true: its Python runs and its file table names every file."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_in_the_readme_runs() -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    code = code.replace(
        '"budget.generations": 30, "evaluation.seeds": 200',
        '"budget.generations": 2, "task.n": 7, "driver.population": 16, "evaluation.seeds": 200',
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    assert "average Estimate(value=" in result.stdout


def test_every_file_has_its_line() -> None:
    listed = re.findall(r"^\| `([\w/]+\.py)` \| (.*) \|$", README, re.MULTILINE)
    package = ROOT / "es_randomized"
    files = {
        str(path.relative_to(package)): (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
        for path in package.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    assert listed == sorted(files.items())


def test_pictures_and_linked_files_exist() -> None:
    for target in re.findall(r"\]\((?!https)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
