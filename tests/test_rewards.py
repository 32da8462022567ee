"""What a user sees of a task whose loss is a reward times -1, without bounds: trained, evaluated, drawn and compared."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from es_randomized.evaluation.of_runs import newest
from es_randomized.evaluation.stored import score_of, stored
from es_randomized.report.picture import figure_of
from es_randomized.report.sweep.trials import score_of as score_of_sweep
from es_randomized.runs.checkpoint import metrics_of
from es_randomized.runs.folder import RunFolder
from es_randomized.trials.attempt import final_score, scores_over_time
from tests.tools.command import run_here
from tests.tools.html import read_html
from tests.tools.layout import layout_problems

TASK = '''
"""Three doors; what lies behind each depends on the instance, and nothing of it is known."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from es_randomized.policy import Interface
from es_randomized.settings import settings
from es_randomized.tasks.measure import Measure
from es_randomized.tasks.task import Outcome, Task

REWARDS = np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 2.5], [2.0, 2.0, 3.0]])  # [door, instance]


@settings
class Doors(Task):
    scale: float = 1.0
    shift: float = 0.0
    reward: bool = False

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    @property
    def interface(self):
        return Interface(features=2, outputs=3, seed_features=range(2))

    @property
    def measure(self):
        return Measure("reward", "points", higher_is_better=True) if self.reward else Measure("loss", "points")

    def sample(self, key, count):
        return jax.random.randint(key, (count,), 0, 3)

    def enumerate(self):
        return np.arange(3)

    def labels(self, bundles):
        return {"half": np.array([0, 0, 1])}

    def seeds(self, key, count):
        return jax.random.normal(key, (2, count))

    def observe(self, instances, seeds):
        return seeds[:, None], instances

    def rollout(self, policy, observations):
        tokens, instances = observations
        doors = jnp.argmax(policy(tokens), axis=0)
        rewards = jnp.asarray(REWARDS)[doors, instances[None]]
        return Outcome((self.shift - self.scale * rewards).astype(jnp.float32), rewards == 3, doors)

    def references(self):
        return []
'''
RUN = """
task: {{kind: doors, {task}}}
model: {{width: 4, blocks: 1, hidden: 4}}
objective: {{kind: cvar}}
batch: {{instances: all, seeds: 4}}
driver: {{kind: Open_ES, population: 8, std: 0.5, optimizer: {{learning_rate: 0.1}}}}
budget: {{generations: 6}}
evaluation: {{seeds: 20, votes: [3]}}
seed: {seed}
"""
KINDS = {  # settings of the task, the lowest and the highest loss there is
    "negative": ("scale: 1.0", -3.0, -1.0),
    "mixed": ("scale: 10.0, shift: 15.0, reward: true", -15.0, 5.0),
    "huge": ("scale: 1.0e+30, shift: 2.0e+30", -1e30, 1e30),
}
COMPARED = "mixed"  # with another training seed
pytestmark = pytest.mark.long  # four runs with everything that is made of them
kinds = pytest.mark.parametrize("kind", KINDS)


def printed_by(*command):
    done = run_here(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the commands print, by kind; the current folder is that of the runs."""
    folder = tmp_path_factory.mktemp("rewards")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setattr("es_randomized.report.figures.DOTS_PER_INCH", 40)
        (folder / "doors.py").write_text(TASK)
        texts = {}
        for kind, (task, _, _) in KINDS.items():
            seeds = (0, 1) if kind == COMPARED else (0,)
            for seed in seeds:
                Path("run.yaml").write_text(RUN.format(task=task, seed=seed))
                texts[kind] = printed_by("train", "run.yaml", "--local", "--run", f"{kind}-{seed}")
            runs = [f"{kind}-{seed}" for seed in seeds]
            printed_by("report", *runs, "--out", f"page-{kind}")
            if kind == COMPARED:
                texts["comparison"] = printed_by("compare", *runs)
        yield texts
    sys.modules.pop("doors", None)


def trained(kind, seed=0):
    return RunFolder(Path(f"{kind}-{seed}"))


def summary(kind, seed=0):
    return json.loads(trained(kind, seed).evaluation_file.read_text())


def as_measured(kind, *losses):
    """Losses as the task measures them: a reward is a loss times -1."""
    return sorted(-loss if kind == "mixed" else loss for loss in losses)


@kinds
def test_the_numbers_of_an_evaluation_are_those_that_are_possible(printed, kind):
    low, high = as_measured(kind, *KINDS[kind][1:])
    tree = summary(kind)
    for level in ("average", "p95", "worst"):
        assert low <= tree[level]["value"] <= high
    ends = [tree["worst"][end] for end in ("low", "high")]
    assert ends.index(None) == (0 if kind == "mixed" else 1)  # the worse end of the worst instance has no bound
    instances = pq.read_table(trained(kind).evaluation_table)[tree["measure"]["name"]].to_numpy()
    assert tree["average"]["value"] == pytest.approx(instances.mean(), rel=1e-5)
    rates = pq.read_table(trained(kind).evaluation_table)["success"].to_numpy()
    assert tree["majority"]["3"]["average"]["value"] <= 1
    assert ((rates >= 0) & (rates <= 1)).all()


@kinds
def test_training_shows_losses_and_checks_of_their_own_size(printed, kind):
    rows = metrics_of(trained(kind)).to_pylist()
    _, low, high = KINDS[kind]
    least, most = as_measured(kind, low, high)
    assert all(low <= row["loss_mean"] <= high for row in rows)
    assert all(least <= row["held_out_worst"] <= most for row in rows)
    worse = np.greater_equal if kind == "mixed" else np.less_equal
    assert all(worse(row["held_out_average"], row["held_out_worst"]) for row in rows)


@kinds
def test_tables_say_what_is_not_known_and_nothing_is_infinite(printed, kind):
    text = printed[kind]
    assert "no bound known" in text
    assert f"points ({'higher' if kind == 'mixed' else 'lower'} is better)" in text
    page = read_html(Path(f"page-{kind}/index.html").read_text())
    words = page.all("main")[0].text + " ".join(image.attributes["alt"] for image in page.all("img"))
    assert "no bound known" in words
    for said in (text, words):
        assert not re.search(r"\b(inf|nan)\b", said)
        without_commit = re.sub(r"[0-9a-f]{40}", "", said)
        assert not re.search(r"\d{12}", without_commit)  # 1e30 is not written out


@kinds
def test_the_picture_shows_every_value(printed, kind):
    run, found = newest(trained(kind)), stored(trained(kind))
    score, metrics = score_of(*found), metrics_of(trained(kind))
    figure = figure_of(run.experiment, metrics, score, run.weights)
    assert layout_problems(figure) == []
    learning, every = figure.subfigs[0].axes[:2]
    histogram = next(axes for axes in figure.subfigs[0].axes if "Every instance" in axes.get_title(loc="left"))
    assert sum(bar.get_height() for bar in histogram.patches) == 3
    for axes in figure.subfigs[0].axes:
        for line in axes.get_lines():
            low, high = axes.get_ylim()
            y = np.asarray(line.get_ydata(), float)
            assert axes is histogram or ((low <= y) & (y <= high)).all()
    curve = {line.get_label(): line for axes in (learning, every) for line in axes.get_lines()}["worst"]
    np.testing.assert_allclose(curve.get_ydata(), metrics["held_out_worst"].to_numpy())


def test_the_comparison_agrees_with_the_evaluations(printed):
    a = summary(COMPARED)["average"]["value"]  # B is run again, under A's seeds
    line = next(line for line in printed["comparison"].splitlines() if "average " in line)
    numbers = [float(x) for x in re.findall(r"[+-]?\d[\d.]*(?:e[+-]?\d+)?", line.replace("−", "-"))]
    assert numbers[0] == pytest.approx(a, rel=0.01, abs=0.01)
    assert numbers[2] == pytest.approx(numbers[0] - numbers[1], rel=0.05, abs=0.02)
    assert numbers[3] <= numbers[2] <= numbers[4]


@kinds
def test_a_sweep_compares_losses_whatever_is_measured(printed, kind):
    folder = trained(kind)
    measure = folder.experiment().task.measure
    sign = -1 if kind == "mixed" else 1
    assert final_score(folder, measure, "worst") == pytest.approx(sign * summary(kind)["worst"]["value"])
    rows = metrics_of(folder).to_pylist()
    assert [score for _, score in scores_over_time(folder, measure, "average")] == pytest.approx(
        [sign * row["held_out_average"] for row in rows]
    )
    assert score_of_sweep("worst", measure).bounds == (-np.inf, np.inf)
