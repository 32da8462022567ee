"""The README says what is true: its Python runs and the page of files names every file."""

import re
import textwrap
from pathlib import Path

import es_randomized
from tests.tools.file_table import PAGE, page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_in_the_readme_is_the_example_that_test_service_runs() -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    example = textwrap.dedent(
        "\n".join(line for line in str(es_randomized.__doc__).splitlines() if line.startswith("    "))
    )
    assert [line for line in code.splitlines() if line] == example.splitlines()


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 900


def test_the_page_of_files_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run make files"


def test_pictures_and_linked_files_exist() -> None:
    for target in re.findall(r"\]\((?!https)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
