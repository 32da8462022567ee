"""The README says what is true: its Python runs and the page of files names every file."""

import re
import subprocess
import sys
from pathlib import Path

from tests.tools.file_table import PAGE, page

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


def test_the_page_of_files_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run make files"


def test_pictures_and_linked_files_exist() -> None:
    for target in re.findall(r"\]\((?!https)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
