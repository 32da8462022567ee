"""Tasks and strategies of a user's own: what is wrong with their module is one message; docs/tutorials has those that work."""

import sys
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import LocalEvaluator, driver_of
from es_randomized.config.yaml import build, dump, parse
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.program_sharing import programs_of
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
        ("cycle_coloring", "task", "no task is called 'cycle_coloring'; did you mean cycle_colouring?"),
        ("zzz", "task", "treasure_hunt; or a module of your own, a file in the current folder or in one on PYTHONPATH"),
        ("own.zzz", "task", "task.kind: there is no module own; own.zzz should be a module of your own, a file in"),
        ("my_part.py", "task", "'my_part.py' is no name of a module; own/my_part.py is called own.my_part"),
        ("json", "task", "should define one class derived from Task, not none"),
        (
            "zzz",
            "driver",
            "no driver is called 'zzz'; known: gradient, ARS, Open_ES, ",
        ),
        ("own.zzz", "driver", "driver.kind: there is no module own;"),
        ("json", "driver", "should define one class derived from Driver or Strategy, not none"),
        ("gradiant", "driver", "no driver is called 'gradiant'; did you mean gradient?"),
    ],
)
def test_names_of_nothing(kind, section, message):
    assert message in refused(kind, section)


# Doors: an objective and a driver in one new file each

OBJECTIVE = """
import jax.numpy as jnp
from es_randomized.objectives.objective import Objective
from es_randomized.settings import settings

@settings
class Median(Objective):
    share: float = 0.5

    def combine(self, expected):
        return jnp.quantile(expected, self.share)
"""
DRIVER = """
from es_randomized.drivers.gradient import Gradient, GradientSettings
from es_randomized.settings import settings

@settings
class Half(GradientSettings):
    kind: str
    factor: float = 0.5

class Mine(Gradient):
    Settings = Half
"""
SMALL = (
    "task: {kind: cycle_colouring, n: 5}\nmodel: {width: 4, blocks: 1, hidden: 4}\nbatch: {instances: 4, seeds: 2}\n"
)


def test_an_objective_in_a_module_is_what_members_are_judged_by_also_on_a_worker(module, monkeypatch):
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    name = module(OBJECTIVE)
    text = f"{SMALL}objective: {{kind: {name}, share: 0.25}}\ndriver: {{population: 4}}\nplan: {{chunk: 4}}"
    experiment = parse(text)
    assert dump(experiment)["objective"] == {"kind": name, "share": 0.25}
    evolution = driver_of(experiment)
    ask = evolution.strategy.ask(evolution.init(), 0)
    losses = LocalEvaluator(evolution).evaluate(ask)
    members = evolution.strategy.everyone(ask.proposal)
    for loss, member in zip(losses, members, strict=True):
        by_instance = np.asarray(evolution.fitness.losses(member, jnp.uint32(0))).mean(axis=1)
        assert loss == pytest.approx(np.quantile(by_instance, 0.25), rel=1e-5)
    worker = Worker(dump(evolution.experiment), None)
    worker.ready()
    done = worker.evaluate(0, evolution.strategy.message(ask), [0])
    assert done.results == [evolution.chunk_losses(ask.proposal, evolution.chunks[0], evolution.inputs(0)).tobytes()]


def test_a_driver_in_a_module_is_made_by_the_name_of_the_module(module):
    name = module(DRIVER)
    experiment = parse(f"{SMALL}driver: {{kind: {name}, factor: 0.25}}")
    assert build(dump(experiment)) == experiment
    assert experiment.driver.factor == 0.25
    driver = driver_of(experiment)
    assert type(driver).__name__ == "Mine"
    assert type(driver).__module__ == name
    with pytest.raises(ConfigError, match=r"^driver.facto: unknown key; did you mean factor\?"):
        parse(f"task: {{kind: cycle_colouring}}\ndriver: {{kind: {name}, facto: 4}}")
    assert programs_of(experiment) != programs_of(replace(experiment, seed=1)), (
        "nothing is known of what it compiles in"
    )


def test_classes_of_one_name_in_two_modules_share_no_programs(module):
    kinds = [module(OBJECTIVE, name) for name in ("my_part", "own.my_part")]
    first, second = (programs_of(parse(f"{SMALL}objective: {{kind: {kind}}}")) for kind in kinds)
    assert first != second
    assert first == programs_of(parse(f"{SMALL}objective: {{kind: {kinds[0]}}}\nseed: 1"))
