"""Runs with phases against the drivers of their phases run one after the other by hand, and against how they resume."""

from dataclasses import replace
from itertools import pairwise

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from es_randomized import driver_of, local_evaluator, train
from es_randomized.cli.overrides import parse_overrides
from es_randomized.config.yaml import build, dump, parse
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.gradient import Gradient
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.expected import Expected
from es_randomized.runs.branch import state_at, verify
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import read_metrics
from es_randomized.session import run_session
from es_randomized.strategies.optimizers import Optimizer, with_fresh_schedules

BASE = """
task: {kind: cycle_colouring, n: 5}
model: {width: 4, hidden: 4, blocks: 1}
batch: {instances: 4, seeds: 2}
driver: {population: 8, std: {start: 0.1, end: 0.05}, optimizer: {learning_rate: {start: 0.02, end: 0.001}}}
budget: {generations: 10}
seed: 3
"""
PHASES = """
phases:
- {share: 0.4, objective: {kind: expected}}
- {share: 0.3, objective: {q: {start: 2, end: 8}}, driver: {population: 16, optimizer: {warmup: 2}}}
- {share: 0.3, start: weights, driver: {kind: gradient, optimizer: {learning_rate: 0.001}}}
"""
TEXT = BASE + PHASES


def trained(driver, until=None):
    steps = list(train(driver, local_evaluator(driver), driver.init()))
    return steps[: until or len(steps)]


def test_a_phase_is_the_experiment_with_its_settings_and_its_share_of_the_generations():
    first, second, third = parse(TEXT).by_phase
    assert [(part.first, part.budget.generations) for part in (first, second, third)] == [(0, 4), (4, 3), (7, 3)]
    assert (first.driver.population, second.driver.population) == (8, 16)
    assert second.driver.optimizer == replace(first.driver.optimizer, warmup=2)  # as above where a phase says nothing
    assert third.driver.kind == "gradient"
    assert build(dump(parse(TEXT))) == parse(TEXT)
    assert "phases" not in dump(parse(BASE))


def test_one_phase_trains_as_a_run_without_phases():
    plain, one = (trained(driver_of(parse(BASE + more))) for more in ("", "phases: [{}]"))
    for ours, theirs in zip(one, plain, strict=True):
        np.testing.assert_array_equal(ours.losses, theirs.losses)
        np.testing.assert_array_equal(ours.state["state"]["mean"], theirs.state["mean"])


@pytest.mark.long
def test_a_run_with_phases_is_its_drivers_one_after_the_other():
    """By hand: an evolution, then one whose optimizer keeps its moments but not its schedule, then gradient descent."""
    experiment = parse(TEXT)
    first, second, third = (
        cls.of(part) for cls, part in zip((Evolution, Evolution, Gradient), experiment.by_phase, strict=True)
    )
    state, weights = first.init(), []
    for generation in range(10):
        if generation == 4:
            adam, *_ = state["optimizer"]
            fresh = second.strategy.init(jax.random.key(0), state["mean"])["optimizer"]
            state = {"mean": state["mean"], "optimizer": (adam, *fresh[1:])}
        if generation == 7:
            state = third.start(state["mean"])
        driver = first if generation < 4 else second if generation < 7 else third
        _, state = driver.step(state, generation, local_evaluator(driver))
        weights.append(np.asarray(driver.centre(state)))
    driver = driver_of(experiment)
    for step, expected in zip(trained(driver), weights, strict=True):
        np.testing.assert_array_equal(driver.centre(step.state), expected)


def test_schedules_run_from_the_first_to_the_last_generation_of_a_phase():
    experiment = parse(BASE + "phases: [{share: 0.5}, {share: 0.5}]")
    driver = driver_of(experiment)
    stds = [float(driver.at(number).strategy.std(np.float32(number))) for number in range(10)]
    expected = [float(optax.cosine_decay_schedule(0.1, 4, 0.5)(count)) for count in range(5)]
    np.testing.assert_allclose(stds, [*expected, *expected], rtol=1e-6)


def test_no_generation_draws_what_one_of_another_phase_has_drawn():
    driver = driver_of(parse(BASE + "phases: [{share: 0.5}, {share: 0.5, start: anew}]"))
    asks = [driver.at(number).strategy.ask(driver.at(number).init(), number) for number in (0, 5)]
    first, second = (
        np.asarray(driver.at(ask.generation).strategy.everyone(ask.proposal)) - np.asarray(ask.proposal["mean"])
        for ask in asks
    )
    assert not np.isclose(first, second).any()
    assert not np.isclose(*(ask.proposal["mean"] for ask in asks)).all(), "anew: other weights"


def test_a_carried_optimizer_keeps_its_moments_and_begins_its_schedules_anew():
    optimizer, weights = Optimizer(learning_rate=0.1, warmup=3, clip_norm=1.0, weight_decay=0.1).build(9), jnp.ones(3)
    fresh = optimizer.init(weights)
    with jax.numpy_dtype_promotion("standard"):
        _, used = optimizer.update(jnp.ones(3), fresh, weights)
    carried = with_fresh_schedules(used, fresh)
    assert float(optax.tree.get(carried, "mu")[0]) == float(optax.tree.get(used, "mu")[0]) != 0
    counts = [int(part.count) for part in carried if isinstance(part, optax.ScaleByScheduleState)]
    assert counts == [0, 0], "of the learning rate and of its warm-up"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["Sep_CMA_ES", "Past_ES"])
def test_every_kind_of_strategy_goes_on_from_a_phase_before(kind):
    text = BASE.replace("driver: {", f"driver: {{kind: {kind}, ").replace("std: {start: 0.1, end: 0.05}", "std: 0.1")
    if kind == "Sep_CMA_ES":
        text = text.replace(", optimizer: {learning_rate: {start: 0.02, end: 0.001}}", "")
    driver = driver_of(parse(text + "phases: [{share: 0.5, objective: {kind: expected}}, {share: 0.5}]"))
    steps = trained(driver)
    for before, after in pairwise(steps):
        again = driver.replay(before.state, after.generation, after.losses)
        np.testing.assert_array_equal(driver.centre(again), driver.centre(after.state))
    assert np.isfinite(driver.centre(steps[-1].state)).all()


@pytest.mark.long
def test_a_run_with_phases_resumes_to_the_same_bits(tmp_path):
    """Also where only the journal is left. It stops between two phases."""
    stop = 7
    driver = driver_of(parse(TEXT))
    whole = trained(driver)[-1].state
    folder = RunFolder(tmp_path / "run")
    folder.create(driver.experiment)

    def until(row):
        if row["generation"] + 1 == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_session(folder, driver, local_evaluator(driver), until)
    again = driver_of(folder.experiment())
    result = run_session(folder, again, local_evaluator(again), lambda _: None)
    assert driver.centre(whole).tobytes() == again.centre(result.state).tobytes()
    assert again.centre(state_at(folder, again, 10)).tobytes() == driver.centre(whole).tobytes()
    assert all(verify(folder, again).values())
    rows = read_metrics(folder.metrics)
    assert rows["non_finite"].to_pylist() == [0] * 10, "the journal's padding is no loss"
    assert rows["rollouts"].to_pylist()[-1] == driver.cost_of(10).rollouts == 8 * (4 * 8 + 3 * 16 + 3)


def test_no_generation_traces_the_model_for_its_cost(monkeypatch):
    """Tracing takes longer than a small generation."""
    driver = driver_of(parse(TEXT))
    costs = [driver.cost_of(generations) for generations in range(1, 11)]
    monkeypatch.setattr(Transformer, "init", None)
    assert [driver.cost_of(generations) for generations in range(1, 11)] == costs
    with pytest.raises(TypeError):
        driver.cost()  # that it would be noticed


def test_phases_of_one_shape_share_their_programs():
    driver = driver_of(
        parse(BASE + "phases: [{objective: {q: {start: 1, end: 2}}}, {objective: {q: {start: 2, end: 4}}}]")
    )
    first, second = driver.drivers
    assert second.chunk_losses is first.chunk_losses
    assert second.strategy._update is not first.strategy._update, "its schedules are compiled in"


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ("[{}, {driver: {kind: gradient}}]", "phases.1.start: gradient cannot go on from the state of Open_ES"),
        ("[{share: 100}, {share: 1}]", "2 phases do not fit into 10 generations"),
        ("[{driver: {popolation: 4}}]", "phases.0.driver.popolation: unknown key; did you mean population?"),
        ("[{share: 0}]", "phases.0.share: should be greater than 0"),
    ],
)
def test_phases_that_do_not_fit_are_refused(phases, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        driver_of(parse(f"{BASE}phases: {phases}"))


@pytest.mark.long
def test_a_task_with_other_weights_is_refused():
    hunt = "task: {kind: treasure_hunt, rows: 2, columns: 2, steps: 3}\nbatch: {instances: all}"
    with pytest.raises(ConfigError, match=r"phases.1: its task and model have [\d,]+ weights"):
        driver_of(parse(f"{hunt}\nphases: [{{}}, {{task: {{columns: 3}}}}]"))


def test_a_setting_of_a_phase_is_set_by_its_number():
    experiment = parse(TEXT, {"phases.1.driver.population": 32, "driver.population": 4})
    assert [part.driver.population for part in experiment.by_phase[:2]] == [4, 32]
    with pytest.raises(ConfigError, match=r"phases.7.share: there are 3 entries, 0 to 2; there is no 7"):
        parse(TEXT, {"phases.7.share": 1})


def test_the_command_line_drops_and_replaces_phases():
    assert parse(TEXT, parse_overrides(["--phases", "[]"])) == parse(BASE)
    assert len(parse(TEXT, parse_overrides(["--phases=[{share: 1}, {share: 2}]"])).phases) == 2
    assert parse(BASE, parse_overrides(["--objective", "{kind: expected}"])).objective == Expected()
    with pytest.raises(click.UsageError, match="--phase: no such option"):
        parse_overrides(["--phase", "[]"])


def test_dumped_plans_of_phases_are_kept():
    experiment = driver_of(parse(TEXT)).experiment
    again = build(dump(experiment))
    assert again == experiment
    assert all(phase.plan.tile != "auto" for phase in again.phases)
    assert replace(again, phases=[]) == replace(parse(TEXT), phases=[])
