"""Tasks and strategies of a user's own: what is wrong with their module is one message; docs/tutorials has those that work."""

import sys

import pytest

from es_randomized.config.yaml import dump, parse
from es_randomized.errors import ConfigError

WHOLE = """
from typing import ClassVar
from es_randomized.settings import settings
from es_randomized.tasks.cycle_colouring import CycleColouring

@settings
class Mine(CycleColouring):
    extra: int = 3
"""
SEARCH = """
from es_randomized.strategies.algorithms.past_es import Past_ES

class Mine(Past_ES):
    pass
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported until the test ends; returns its name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def written(text, name="my_part"):
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return name

    yield written
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("my_part", "own"):
            del sys.modules[name]


def refused(kind, section="task"):
    with pytest.raises(ConfigError) as caught:
        parse(
            {"task": f"task: {{kind: {kind}}}", "driver": f"task: {{kind: treasure_hunt}}\ndriver: {{kind: {kind}}}"}[
                section
            ]
        )
    return str(caught.value)


@pytest.mark.parametrize("name", ["my_part", "own.my_part"])
def test_a_task_in_a_module_reads_back_as_it_was(module, name):
    experiment = parse(f"task: {{kind: {module(WHOLE, name)}, n: 5, extra: 4}}")
    assert type(experiment.task).__name__ == "Mine"
    assert dump(experiment)["task"] == {"kind": name, "n": 5, "extra": 4} | {
        key: value for key, value in dump(experiment)["task"].items() if key not in ("kind", "n", "extra")
    }
    with pytest.raises(ConfigError, match=r"^task.extr: unknown key; did you mean extra\?"):
        parse(f"task: {{kind: {name}, extr: 4}}")


def test_a_strategy_in_a_module_says_itself_whether_it_comes_in_pairs(module):
    kind = module(SEARCH)
    assert parse(f"task: {{kind: cycle_colouring}}\ndriver: {{kind: {kind}}}").driver.kind == kind
    with pytest.raises(ConfigError, match=r"driver\.population: my_part has antithetic pairs, so it must be even"):
        parse(f"task: {{kind: cycle_colouring}}\ndriver: {{kind: {kind}, population: 7}}")


BROKEN = {
    "a class that is not whole": (
        "from es_randomized.settings import settings\nfrom es_randomized.tasks.task import Task\n@settings\nclass Mine(Task):\n"
        "    def seeds(self, key, count): return 0\n",
        "task.kind: Mine in ",
        "lacks what every Task has: enumerate, interface, observe, references, rollout, sample",
    ),
    "no settings": (
        "from es_randomized.tasks.task import Task\nclass Mine(Task):\n    "
        "interface = sample = enumerate = seeds = observe = rollout = references = None\n",
        "task.kind: Mine has no settings; write @settings above it",
        "",
    ),
    "no class": ("x = 1\n", "task.kind: ", "my_part.py should define one class derived from Task, not none"),
    "two classes": (WHOLE + WHOLE.replace("Mine", "Other"), "task.kind: ", "derived from Task, not Mine, Other"),
    "code that raises": (
        "x = 1\ny = z\n",
        "task.kind: my_part raised NameError in line 2: name 'z' is not defined",
        "",
    ),
    "code that is no Python": (
        "x = = 1\n",
        "task.kind: my_part raised SyntaxError: invalid syntax (my_part.py, line 1)",
        "",
    ),
    "a library that is not there": (
        "import nowhere\n",
        "task.kind: my_part imports nowhere, which is not installed",
        "",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_module_is_one_message(module, name):
    text, begins, ends = BROKEN[name]
    message = refused(module(text))
    assert message.startswith(begins)
    assert message.endswith(ends)


@pytest.mark.parametrize(
    ("kind", "section", "message"),
    [
        ("cycle_coloring", "task", "no task is called 'cycle_coloring' (str); did you mean cycle_colouring?"),
        ("zzz", "task", "treasure_hunt; or a module of your own, a file in the current folder or in one on PYTHONPATH"),
        ("own.zzz", "task", "task.kind: there is no module own; own.zzz should be a module of your own, a file in"),
        ("my_part.py", "task", "'my_part.py' is no name of a module; own/my_part.py is called own.my_part"),
        ("json", "task", "should define one class derived from Task, not none"),
        (
            "zzz",
            "driver",
            "no driver is called 'zzz'; `es-randomized strategies` lists them; or a module of your own",
        ),
        ("own.zzz", "driver", "driver.kind: there is no module own;"),
        ("json", "driver", "should define one class derived from Strategy, not none"),
        ("gradiant", "driver", "no driver is called 'gradiant'; did you mean gradient?"),
    ],
)
def test_names_of_nothing(kind, section, message):
    assert message in refused(kind, section)
