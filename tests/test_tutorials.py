"""The tutorials do what they say: their files are written, their commands and their Python run in order, their output is theirs.

A block that begins with `# name.py` or `# name.yaml` is that file. Commands are given to the command line's own function in
this process. What a `text` block after them shows must come in that order; ... stands for anything. `console` blocks are
not run: the cluster's page is followed by tests/clusters/test_local_nodes.py, and tests/trials/ run sweeps.
"""

import contextlib
import fnmatch
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from es_randomized.cli.main import main
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import planned
from tests.tools.command import run
from tests.tools.pages import PAGES, blocks, shows, write_files

ROOT = Path(__file__).parents[1]
# Budgets of the pages and what they are here; what the pages show of them is the same.
SMALLER = {
    "first_run": {
        "--task.n 7 --driver.population 64 --budget.generations 200": (
            "--task.n 5 --driver.population 8 --batch.instances 4 --budget.generations 4 --evaluation.seeds 60 "
            "--evaluation.votes [5,30]"
        ),
        "Open_ES, 64": "Open_ES, 8",
        "200 generations": "4 generations",
        "360 instances (all) × 400 fresh": "12 instances (all) × 60 fresh",
        "  n: 7": "  n: 5",
        "--task.n 7 --budget.seconds 2": (
            "--task.n 5 --driver.population 8 --batch.instances 4 --budget.seconds 0.2 --evaluation.seeds 20 "
            "--evaluation.votes [5]"
        ),
        "--local --seconds 2": "--local --seconds 0.2",
        "--model.width 32 --driver.population 512": "--model.width 32 --task.n 5 --driver.population 8 --batch.instances 4",
        "Open_ES, 512": "Open_ES, 8",
        "8,771": "8,611",
        '"driver.population": 16, "budget.generations": 3': (
            '"driver.population": 8, "budget.generations": 3, "batch.instances": 4, "evaluation.seeds": 60, '
            '"evaluation.votes": [5]'
        ),
        "has 16 losses": "has 8 losses",
    },
    "your_own_task": {"generations: 300": "generations: 10"},
    "your_own_strategy": {"--driver.std 0.3": "--driver.std 0.3 --budget.generations 10"},
    "reading_the_report": {},
}


def given(line: str) -> tuple[str, bool]:
    """What a line of a shell prints, and whether it succeeded."""
    words = shlex.split(line, comments=True)
    if words[0] != "es-randomized":
        done = subprocess.run(words, capture_output=True, text=True)
        return done.stdout + done.stderr, done.returncode == 0
    sys.argv = words
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(out),
        pytest.raises(SystemExit) as stopped,
    ):
        main()
    return out.getvalue(), not stopped.value.code


def follow(page: str) -> None:
    """Do what the page says, in the current folder."""
    namespace: dict[str, object] = {"__name__": page}
    printed, failed = "", False
    before = ""
    for block in blocks(page, SMALLER[page]):
        if block.file:
            Path(block.file).write_text(block.text)
        elif block.language == "sh":
            results = [given(line) for line in block.text.splitlines()]
            printed, failed = "".join(out for out, _ in results), not all(success for _, success in results)
            assert not failed or "error: " in printed, printed
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, f"{page}.md", "exec"), namespace)
            printed, failed = out.getvalue(), False
        elif block.language == "text" and before in ("sh", "python"):
            assert failed == ("error: " in block.text), printed
            shows(printed, block.text)
        before = block.language


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with what a clone has, to be the current one, and a command line that is set up already."""
    for name in ("configs", "cluster"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for checkpoint in ("treasure-3x3-0", "treasure-3x3-1"):
        shutil.copytree(ROOT / "checkpoints" / checkpoint, tmp_path / "checkpoints" / checkpoint)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("COLUMNS", "200")
    yield tmp_path
    for module in ("boxes", "cross_entropy", "natural"):
        sys.modules.pop(module, None)


def test_every_tutorial_is_followed():
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    assert pages == {*SMALLER, "a_cluster", "a_sweep"}
    linked = set(re.findall(r"\]\((\w+)\.md\)", (PAGES / "README.md").read_text()))
    assert linked == pages


@pytest.mark.pages
@pytest.mark.parametrize("page", ["first_run", "reading_the_report"])
def test_a_page_for_a_clone(clone, page):
    follow(page)


def test_the_sweep_is_one_of_twelve_trials_named_as_the_page_says(clone):
    write_files("a_sweep", clone)
    trials = planned(load_sweep(Path("my_sweep.yaml")))
    assert len(trials) == 12
    patterns = re.findall(r"runs/sweeps/my_sweep/(\S+\*)", (PAGES / "a_sweep.md").read_text())
    assert [len(fnmatch.filter([trial.name for trial in trials], pattern)) for pattern in patterns] == [4, 4, 4]


@pytest.mark.pages
def test_a_task_and_a_strategy_of_your_own(clone):
    follow("your_own_task")
    follow("your_own_strategy")


@pytest.mark.cluster
def test_a_task_is_one_new_file_and_one_config_also_for_workers(tmp_path, monkeypatch):
    """Nothing but the page's two files is there, and two Ray workers find the task as this process does."""
    monkeypatch.chdir(tmp_path)
    write_files("your_own_task", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.py", "boxes.yaml"]
    few = ("--budget.generations", 2, "--driver.population", 8, "--plan.chunk", 4, "--evaluation.seeds", 8)
    alone = run("train", "boxes.yaml", "--run", "runs/alone", "--local", "--no-evaluate", *few)
    assert alone.returncode == 0, alone.stderr
    together = run("train", "boxes.yaml", "--run", "runs/together", "--workers", 2, *few)
    assert together.returncode == 0, together.stderr
    assert "2 workers ready" in together.stdout
    assert "exact optimum: every order equally often" in together.stdout
    journals = [(tmp_path / "runs" / name / "journal.bin").read_bytes() for name in ("alone", "together")]
    assert journals[0] == journals[1]
