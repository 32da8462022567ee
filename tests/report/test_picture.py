"""Pictures of random weights: what they say, and that every number in them is the one found by plain loops."""

import math
import struct
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from matplotlib.text import Text

from es_randomized import rng
from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Batch, Evaluation
from es_randomized.evaluation.evaluate import evaluation_bundles, score
from es_randomized.evaluation.outcomes import bind
from es_randomized.fitness import parameters
from es_randomized.models.transformer import Transformer
from es_randomized.report import picture
from es_randomized.report.animation import Agent, walking
from es_randomized.report.overview import learning_curve
from es_randomized.report.picture import draw, figure_of
from es_randomized.report.tasks import associative_recall as recall
from es_randomized.report.tasks.drawings import drawings_of
from es_randomized.runs.metrics import SCHEMA
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.task import Outcome
from es_randomized.tasks.treasure_hunt import TreasureHunt
from tests.tools.layout import layout_problems

RUNS = 20
STEPS, ROWS, COLUMNS, OBSTACLE = 5, 2, 3, (1, 1)
TASKS = {
    "cycles": CycleColouring(n=5),
    "hunt": TreasureHunt(rows=ROWS, columns=COLUMNS, steps=STEPS, obstacles=[list(OBSTACLE)], noise_width=2),
    "recall": AssociativeRecall(n=3, bits=2, noise_width=2),
}
MODEL = Transformer(width=4, blocks=1, heads=1, key=2, hidden=4, attention="linear")
METRICS = pa.Table.from_pylist(
    [
        {"seconds": 1.0, "loss_mean": 9.0, "held_out_average": 0.25, "held_out_p95": 0.125, "held_out_worst": 0.0},
        {"seconds": 2.0, "loss_mean": 8.0},
        {"seconds": 4.0, "loss_mean": 7.0, "held_out_average": 0.5, "held_out_p95": 0.25, "held_out_worst": 0.125},
    ],
    SCHEMA,
)


class Pictured:
    """An experiment with random weights and the score of outcomes made up for it."""

    def __init__(self, task, fixed_seed=False):
        evaluation = Evaluation(seeds=RUNS, votes=[], instances=24)
        batch = Batch(seeds=1, fixed_seed=True) if fixed_seed else Batch()
        self.experiment = Experiment(task=task, model=MODEL, batch=batch, evaluation=evaluation)
        generator = np.random.default_rng(10)
        weights = generator.normal(size=parameters(MODEL, task))
        self.weights = jnp.asarray(weights, jnp.float32)
        bundles, enumerated = evaluation_bundles(self.experiment)
        shape = (bundles.shape[-1] * task.bundle, 1 if fixed_seed else RUNS)
        losses, success = generator.integers(2, 6, shape).astype(np.float32), generator.uniform(size=shape) < 0.7
        outcome = Outcome(losses, success, success.astype(np.int32))
        self.score = score(self.experiment, outcome, "none" if fixed_seed else "seed", bundles, enumerated)
        policy = bind(task, MODEL, self.weights)
        self.outputs, self.step, self.start = (
            jax.jit(lambda tokens: policy(tokens)),
            jax.jit(policy.step),
            policy.empty(1),
        )
        self.figure = figure_of(self.experiment, METRICS, self.score, self.weights)

    def seeds(self, index=0, count=RUNS):
        key = rng.address(self.experiment.seed, rng.Purpose.EVALUATION_SEEDS, index=index)
        return np.asarray(self.experiment.task.seeds(key, count))

    def frozen_seed(self):
        return np.asarray(self.experiment.task.seeds(rng.address(self.experiment.seed, rng.Purpose.SEEDS), 1))

    def texts(self):
        return [text.get_text() for text in self.figure.findobj(Text) if text.get_text()]

    def says(self, *words):
        return all(any(word in text for text in self.texts()) for word in words)

    def axes(self, title):
        every = [part for figure in self.figure.subfigs for part in figure.axes]
        return next(axes for axes in every if title in axes.get_title() + axes.get_title(loc="left"))

    def numbers(self, title):
        """What is written at each (row, column) of a heat map."""
        texts = self.axes(title).texts
        return {(round(y), round(x)): text.get_text() for text in texts for x, y in [text.get_position()]}


@pytest.fixture(scope="module")
def pictured():
    return {name: Pictured(task) for name, task in TASKS.items()}


@pytest.fixture(scope="module")
def frozen():
    return {name: Pictured(task, fixed_seed=True) for name, task in TASKS.items()}


# All tasks


def test_the_picture_is_a_png_of_1430_by_858_pixels(tmp_path, monkeypatch, pictured):
    one = pictured["hunt"]
    monkeypatch.setattr(picture, "figure_of", lambda *_: one.figure)
    draw(tmp_path / "picture.png", one.experiment, METRICS, one.score, one.weights)
    content = (tmp_path / "picture.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (1430, 858)


def test_the_learning_curve_shows_the_checks_the_optimum_and_the_training_loss(pictured):
    for name, scale, optimum in (
        ("cycles", 100, "exact optimum (two rounds, identifiers): 100.0 %"),
        ("hunt", 1, f"exact minimax (a mixture of walks): {TASKS['hunt'].references()[0].worst:.2f}"),
        ("recall", 100, "memory without limit: 100.0 %"),
    ):
        axes = pictured[name].axes("Learning")
        lines = {line.get_label(): line for line in axes.get_lines()}
        for label, values in (("average", (0.25, 0.5)), ("95th percentile", (0.125, 0.25)), ("worst", (0, 0.125))):
            assert lines[label].get_xdata().tolist() == [1, 4]
            np.testing.assert_allclose(lines[label].get_ydata(), np.multiply(values, scale))
        assert lines[optimum].get_linestyle() == "--"
        reference = TASKS[name].references()[0].worst
        np.testing.assert_allclose(lines[optimum].get_ydata(), scale * reference)
        assert "training loss" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_axes_say_what_they_show_and_in_which_unit(pictured):
    assert pictured["hunt"].axes("Learning").get_ylabel() == "total steps, held-out draws"
    assert pictured["hunt"].axes("Every instance").get_xlabel() == "total steps, 20 fresh seeds"
    assert pictured["recall"].axes("Learning").get_ylabel() == "success, held-out draws (%)"
    assert pictured["recall"].axes("Every instance").get_xlabel() == "success, 20 fresh seeds (%)"


@pytest.mark.parametrize("name", TASKS)
def test_the_histogram_counts_every_instance_once_and_marks_the_score(pictured, frozen, name):
    for one in (pictured[name], frozen[name]):
        axes = one.axes("Every instance")
        assert sum(bar.get_height() for bar in axes.patches) == len(one.score.per_instance)
        scale, unit, digits = (1, "", 2) if name == "hunt" else (100, " %", 1)
        for label, rate in zip(("average", "95th percentile", "worst"), one.score.single, strict=True):
            line = next(line for line in axes.get_lines() if line.get_label().startswith(label))
            assert line.get_label() == f"{label}: {scale * rate.value:.{digits}f}{unit}"
            assert line.get_xdata()[0] == pytest.approx(scale * rate.value)


def test_rates_of_few_runs_have_bars_at_their_places(frozen):
    bars = [bar for bar in frozen["recall"].axes("Every instance").patches if bar.get_height()]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert sorted(centres) == pytest.approx([0, 100])
    wrong = int((frozen["recall"].score.success == 0).sum())
    assert [bar.get_height() for bar in bars] == [wrong, 24 - wrong]


def test_a_task_without_a_drawing_has_the_upper_row_alone(monkeypatch):
    monkeypatch.setattr(picture, "drawings_of", lambda task: None)
    figure = Pictured(TASKS["cycles"]).figure
    assert [len(part.axes) for part in figure.subfigs] == [3]  # one more for the training loss
    assert figure.get_size_inches()[1] < 5


def test_a_run_without_metrics_has_axes_without_curves(pictured):
    for one in pictured.values():
        axes = Figure().subplots()
        learning_curve(axes, SCHEMA.empty_table(), one.score)
        assert all(len(line.get_xdata()) == 0 for line in axes.get_lines() if line.get_label() in ("average", "worst"))


@pytest.mark.parametrize("name", TASKS)
def test_texts_and_legends_lie_in_every_picture_and_apart(pictured, frozen, name):
    assert layout_problems(pictured[name].figure) == []
    assert layout_problems(frozen[name].figure) == []


# Cycles


def clashes(one, cycle, seed):
    """Monochromatic edges; the seed belongs to the vertex."""
    tokens = [[float(vertex == other) for other in range(5)] + [seed[0, vertex]] for vertex in cycle]
    outputs = np.asarray(one.outputs(jnp.array(tokens, jnp.float32).T[..., None]))[..., 0]
    colours = outputs.argmax(axis=0).tolist()
    return sum(colours[here] == colours[here - 1] for here in range(5))


def said(count):
    return {0: "proper", 1: "1 clash"}.get(count, f"{count} clashes")


def test_the_hardest_cycle_is_shown_under_six_seeds(pictured):
    one = pictured["cycles"]
    rates = one.score.success.tolist()
    worst = rates.index(min(rates))
    seeds, cycle = one.seeds(index=1, count=6), TASKS["cycles"].enumerate()[:, worst]
    assert one.says(f"The hardest cycle ({100 * min(rates):.1f} %) under six seeds")
    titles = [axes.get_title() for axes in one.figure.subfigs[1].axes]
    assert titles == [said(clashes(one, cycle, seeds[..., number])) for number in range(6)]


def test_a_page_has_the_hardest_cycle_in_two_rows_and_in_words(pictured):
    one = pictured["cycles"]
    (figure,) = drawings_of(one.experiment.task).figures("inputs", one.experiment, one.score, one.weights)
    titles = [axes.get_title() for axes in one.figure.subfigs[1].axes]
    assert figure.alt.endswith(f"under six seeds: {', '.join(titles)}.")
    assert struct.unpack(">II", figure.png[16:24]) == (832, 640)


def test_with_one_frozen_seed_the_six_hardest_cycles_are_shown(frozen):
    one = frozen["cycles"]
    hardest = sorted(range(12), key=lambda number: one.score.success[number])[:6]
    cycles = TASKS["cycles"].enumerate()
    assert one.says("The hardest cycles under one frozen seed")
    titles = [axes.get_title() for axes in one.figure.subfigs[1].axes]
    assert titles == [said(clashes(one, cycles[:, number], one.frozen_seed()[..., 0])) for number in hardest]


# Hunts


def clock(time):
    angles = [2 * math.pi * time / period for period in (4, 8, 16, 32)]
    return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]


def walk(one, seed):
    """The places of a first episode without a treasure, one step of the policy at a time."""
    place, path, memory = (0, 0), [(0, 0)], one.start
    token = [*seed, *[0] * (ROWS + COLUMNS + 1), *clock(0)]
    for time in range(STEPS):
        outputs, memory = one.step(memory, jnp.array(token, jnp.float32)[:, None], time)
        down, right = ((-1, 0), (1, 0), (0, -1), (0, 1))[int(np.argmax(outputs))]
        there = (place[0] + down, place[1] + right)
        if 0 <= there[0] < ROWS and 0 <= there[1] < COLUMNS and there != OBSTACLE:
            place = there
        path.append(place)
        row, column = ([int(n == place[0]) for n in range(ROWS)], [int(n == place[1]) for n in range(COLUMNS)])
        token = [0, 0, *row, *column, -0.1, *clock(time + 1)]
    return tuple(path)


TREASURES = [(0, 1), (0, 2), (1, 0), (1, 2)]


def first_visit(path, place):
    return path.index(place) if place in path else STEPS


@pytest.fixture(scope="module")
def walks(pictured):
    one = pictured["hunt"]
    return [walk(one, seed) for seed in one.seeds().T]


def test_first_visits_in_the_picture_are_those_of_a_slow_walk(pictured, walks):
    means = {place: np.mean([first_visit(path, place) for path in walks]) for place in TREASURES}
    assert 0 < min(means.values()) < max(means.values())
    expected = {place: f"{mean:.1f}" for place, mean in means.items()}
    assert pictured["hunt"].numbers("Steps to first visit") == expected | {(0, 0): "S"}


def test_total_steps_in_the_picture_are_those_of_the_evaluation(pictured):
    totals = pictured["hunt"].score.per_instance
    expected = {place: f"{total:.1f}" for place, total in zip(TREASURES, totals, strict=True)}
    assert pictured["hunt"].numbers("Total steps by treasure") == expected | {(0, 0): "S"}


def test_the_most_frequent_first_episodes_are_drawn(pictured, walks):
    one, counts = pictured["hunt"], Counter(walks)
    assert len(counts) > 1
    assert one.says(f"{len(counts)} different first episodes", f"a cell not visited counts {STEPS}", "over 20 seeds")
    drawn = [axes for axes in one.figure.subfigs[1].axes if "of seeds" in axes.get_title()]
    shares = [100 * count / RUNS for _, count in counts.most_common(4)]
    assert [axes.get_title() for axes in drawn] == [f"{share:.3g} % of seeds" for share in shares]
    for axes in drawn:
        arrows = next(part for part in axes.get_children() if isinstance(part, Quiver))
        places = [(round(y), round(x)) for x, y in arrows.XY]
        path = next(path for path in counts if list(path[:-1]) == places)
        assert axes.get_title() == f"{100 * counts[path] / RUNS:.3g} % of seeds"


def test_the_two_grids_and_the_paths_share_one_scale_of_steps(pictured):
    images = [axes.images[0] for axes in pictured["hunt"].figure.subfigs[1].axes if axes.images]
    assert len({image.get_clim() for image in images}) == 1
    assert pictured["hunt"].says("steps")


def test_agents_walk_as_slow_ones_do(walks):
    one = TASKS["hunt"]
    paths = np.array([[row * COLUMNS + column for row, column in path] for path in walks]).T
    figure = walking("walking", one, paths)
    assert figure.moving
    cells = ", ".join(str(len(set(path))) for path in walks[:6])
    assert f"In {STEPS} steps they see {cells} cells." in figure.alt
    agent = Agent(Figure().subplots(), one, paths[:, 0], "seed 1")
    for time in range(STEPS + 1):
        agent.show(time)
        assert (agent.agent.get_ydata()[0], agent.agent.get_xdata()[0]) == walks[0][time]
        seen = {tuple(map(int, cell)) for cell in np.argwhere(agent.image.get_array())}
        assert seen == set(walks[0][: time + 1])


def test_with_one_frozen_seed_steps_are_whole_numbers_and_there_is_one_path(frozen):
    one = frozen["hunt"]
    path = walk(one, one.frozen_seed()[:, 0])
    expected = {place: str(first_visit(path, place)) for place in TREASURES}
    assert one.numbers("Steps to first visit") == expected | {(0, 0): "S"}
    assert one.says("Steps with one frozen seed", "First episode")
    assert not one.says("of seeds")


# Recall


def bits(value):
    return [value % 2, value // 2]


def answers(one, store, seed):
    """What is answered to the three queries to one store."""
    keys = np.eye(3).tolist()
    pairs = [[*bits(value), *key, *seed] for value, key in zip(store, keys, strict=True)]
    queries = [[0, 0, *key, *seed] for key in keys]
    outputs = one.outputs(jnp.array(pairs + queries, jnp.float32).T[..., None])
    return [int(first > 0) + 2 * int(second > 0) for first, second in np.asarray(outputs)[..., 0].T]


def test_success_by_seed_and_query_is_that_of_one_case_at_a_time(pictured):
    one = pictured["recall"]
    stores, seeds = evaluation_bundles(one.experiment)[0].T.tolist(), one.seeds().T.tolist()
    expected = {}
    for number, seed in enumerate(seeds[:16]):
        right = np.zeros(3)
        for store in stores:
            right += np.equal(answers(one, store, seed), store)
        expected |= {(number, query): f"{100 * right[query] / len(stores):.0f}" for query in range(3)}
    assert len(set(expected.values())) > 2
    assert one.numbers("Which keys 16 seeds keep") == expected


def test_bars_are_success_by_query_in_the_evaluation(pictured, frozen):
    for one in (pictured["recall"], frozen["recall"]):
        bars = [bar.get_height() for bar in one.axes("Every query").patches]
        expected = [100 * np.mean(one.score.success[query::3]) for query in range(3)]
        np.testing.assert_allclose(bars, expected, rtol=1e-6)
        assert one.says(f"average {100 * one.score.single.average.value:.1f} %", "guessing 25.0 %")


def test_bars_have_intervals_where_there_are_several_runs(pictured, frozen):
    one = pictured["recall"]
    segments = one.axes("Every query").collections[0].get_segments()
    expected = [(100 * estimate.low, 100 * estimate.high) for estimate in one.score.by_group["query"]]
    np.testing.assert_allclose([segment[:, 1] for segment in segments], expected)
    assert one.says("95% intervals")
    assert not frozen["recall"].axes("Every query").collections
    assert frozen["recall"].says("one frozen seed")


def test_many_query_positions_have_no_numbers(pictured, monkeypatch):
    monkeypatch.setattr(recall, "LARGEST_NUMBERED", 2)
    monkeypatch.setattr(recall, "by_seed", lambda *_: np.zeros((16, 3)))
    one, area = pictured["recall"], Figure()
    recall.draw(area, one.experiment, one.score, one.weights)
    assert not area.axes[1].texts
    assert area.axes[1].images[0].get_array().shape == (16, 3)


def test_numbers_can_be_read_on_their_cells(pictured):
    for title in ("Steps to first visit", "Total steps by treasure"):
        axes = pictured["hunt"].axes(title)
        image = axes.images[0]
        for text in axes.texts:
            if text.get_text() != "S":
                dark = image.norm(float(text.get_text())) > 0.7
                assert to_hex(text.get_color()) == "#ffffff" or not dark
