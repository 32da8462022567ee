"""Configurations: every mistake gets its exact words, and what is written out reads back the same."""

from pathlib import Path

import pytest

from es_randomized.config.kinds import names
from es_randomized.config.yaml import build, dump, load, parse, read_yaml, write_yaml
from es_randomized.errors import ConfigError
from es_randomized.objectives.cvar import CVaR
from es_randomized.objectives.q_norm import QNorm
from es_randomized.schedules import Schedule
from es_randomized.tasks.cycle_colouring import CycleColouring

ROOT = Path(__file__).parents[2]
TASK = "task: {kind: cycle_colouring}\n"

MISTAKES = {
    "unknown section": ("drivr: {}", "drivr: unknown key; did you mean driver?"),
    "unknown section, nothing near": (
        "zzz: {}",
        "zzz: unknown key; known: task, model, objective, batch, driver, budget, answer, evaluation, plan, seed",
    ),
    "unknown key": ("model: {widht: 8}", "model.widht: unknown key; did you mean width?"),
    "unknown key of a task": (
        "task: {kind: cycle_colouring, colors: 3}",
        "task.colors: unknown key; did you mean colours?",
    ),
    "wrong type": ("model: {width: big}", "model.width: should be a valid integer, got 'big' (str)"),
    "a fraction for a whole number": ("batch: {seeds: 2.5}", "batch.seeds: should be a valid integer, got 2.5 (float)"),
    "a truth value for a number": ("seed: true", "seed: should be a valid integer, got True (bool)"),
    "no kind": (
        "objective: {q: 3}",
        "objective: expected a mapping with a kind, one of cvar, expected, guided, log_sum_exp, q_norm, specialists, worst_case; "
        "got {'q': 3} (dict)",
    ),
    "unknown kind": (
        "objective: {kind: q_nrm}",
        "objective.kind: no objective is called 'q_nrm'; did you mean q_norm?",
    ),
    "unknown task": (
        "task: {kind: cycle_coloring}",
        "task.kind: no task is called 'cycle_coloring'; did you mean cycle_colouring?",
    ),
    "unknown strategy": (
        "driver: {kind: OpenES}",
        "driver.kind: no driver is called 'OpenES'; did you mean Open_ES?",
    ),
    "nearly gradient": (
        "driver: {kind: gradiant}",
        "driver.kind: no driver is called 'gradiant'; did you mean gradient?",
    ),
    "a setting of evolution for the gradient": (
        "driver: {kind: gradient, population: 8}",
        "driver.population: unknown key; known: kind, optimizer, credit, samples, entropy, non_finite",
    ),
    "nearly a setting of the gradient": (
        "driver: {kind: gradient, optimiser: {}}",
        "driver.optimiser: unknown key; did you mean optimizer?",
    ),
    "a gradient that ranks": (
        "driver: {kind: gradient, non_finite: rank_worst}",
        "driver.non_finite: should be 'stop', got 'rank_worst'",
    ),
    "out of range": (
        "objective: {kind: cvar, alpha: 1.5}",
        "objective.alpha: should be less than or equal to 1, got 1.5",
    ),
    "out of range below": (
        "budget: {generations: 0}",
        "budget.generations: should be greater than or equal to 1, got 0",
    ),
    "a setting of a setting": (
        "driver: {optimizer: {learning_rat: 0.1}}",
        "driver.optimizer.learning_rat: unknown key; did you mean learning_rate?",
    ),
    "a setting of a setting of a setting": (
        "driver: {optimizer: {learning_rate: {start: 0.1, end: 0.01, shap: linear}}}",
        "driver.optimizer.learning_rate.shap: unknown key; did you mean shape?",
    ),
    "a missing setting": ("driver: {std: {start: 0.1}}", "driver.std.end: missing"),
    "a value for a section": ("model: 8", "model: expected a mapping of settings; got 8 (int)"),
    "settings that disagree": (
        "batch: {fixed_seed: true}",
        "batch: fixed_seed trains on one seed, but seeds is 8; set seeds: 1",
    ),
}


def with_task(text):
    return text if text.startswith("task") else TASK + text


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_their_exact_words(name):
    text, message = MISTAKES[name]
    with pytest.raises(ConfigError) as caught:
        parse(with_task(text))
    assert str(caught.value).startswith(message)


def test_a_missing_task_is_asked_for_by_name():
    with pytest.raises(
        ConfigError, match=r"task: missing; name one of .*cycle_colouring.*, for example task: \{kind: "
    ):
        parse("seed: 1")


def test_several_mistakes_of_a_section_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        parse(TASK + "model: {width: 0, hiden: 3}")
    assert {line.split(";")[0].split(",")[0] for line in str(caught.value).split("\n")} == {
        "model.width: should be greater than or equal to 1",
        "model.hiden: unknown key",
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [("task: {kind: x\nseed: 1", "demo.yaml line 2"), ("seed: 1\nseed: 2", "demo.yaml line 2"), ("a: [", "demo.yaml")],
)
def test_broken_yaml_says_where(text, place):
    with pytest.raises(ConfigError, match=f"^{place}.*: not valid YAML: "):
        parse(text, source="demo.yaml")


def test_a_key_given_twice_is_named():
    with pytest.raises(ConfigError, match='not valid YAML: found duplicate key "seed"'):
        parse(TASK + "seed: 1\nseed: 2")


@pytest.mark.parametrize("text", ["", "- 1\n- 2", "hello"])
def test_text_without_sections_is_refused(text):
    with pytest.raises(ConfigError, match="expected sections such as task: and driver:, got "):
        parse(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the experiment .*absent.yaml: No such file"):
        load(tmp_path / "absent.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "weights.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"weights\.yaml: not valid YAML: it is not UTF-8 text"):
        load(tmp_path / "weights.yaml")


# Overrides


def test_overrides_reach_nested_settings_and_make_missing_sections():
    experiment = parse(TASK, {"driver.optimizer.learning-rate": 0.3, "seed": 7, "task.n": 6})
    assert experiment.driver.optimizer.learning_rate == 0.3
    assert (experiment.seed, experiment.task) == (7, CycleColouring(n=6))


def test_an_override_into_a_value_is_refused():
    with pytest.raises(ConfigError) as caught:
        parse(TASK + "seed: 3", {"seed.value": 1})
    assert str(caught.value) == "seed.value: seed is a value, not a section, so nothing inside it can be set"


def test_an_override_of_an_unknown_setting_is_refused():
    with pytest.raises(ConfigError, match=r"driver.populatoin: unknown key; did you mean population\?"):
        parse(TASK, {"driver.populatoin": 4})


# Values


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1E3", 1000.0), (".5", 0.5), ("10", 10.0)])
def test_numbers_are_numbers_however_they_are_written(text, value):
    assert parse(TASK + f"objective: {{kind: log_sum_exp, tau: {text}}}").objective.tau == value


def test_words_of_old_yaml_are_words():
    assert read_yaml("[yes, no, on, 012, 1_000]", "x")[:3] == ["yes", "no", "on"]


def test_sections_become_the_settings_they_name():
    experiment = parse(
        TASK + "objective: {kind: cvar, alpha: 0.2}\ndriver: {std: {start: 0.2, end: 0.1}, optimizer: {clip_norm: 1}}"
    )
    assert experiment.objective == CVaR(alpha=0.2)
    assert experiment.driver.std == Schedule(start=0.2, end=0.1)
    assert parse(TASK).objective == QNorm()


# Round trips


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name not in ("paper", "sweeps")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_every_config_is_what_its_dump_says(path):
    experiment = load(path)
    assert build(dump(experiment)) == experiment
    assert parse(write_yaml(dump(experiment))) == experiment


def test_a_dump_writes_every_default_out_and_keeps_the_order():
    tree = dump(parse(TASK + "seed: 4"))
    assert list(tree)[:2] == ["task", "model"]
    assert tree["task"] == {
        "kind": "cycle_colouring",
        "n": 10,
        "colours": 3,
        "noise": "uniform",
        "noise_width": 1,
        "identifiers": True,
    }
    assert tree["objective"] == {"kind": "q_norm", "q": 3.0}
    written = [line.rstrip(":") for line in write_yaml(tree).split("\n") if line.endswith(":") and line[0] != " "]
    assert written == [name for name in tree if name not in ("seed", "start_from", "restarts")]


def test_tasks_are_the_files_of_their_folder():
    files = {path.stem for path in (ROOT / "es_randomized" / "tasks").glob("*.py") if "(Task):" in path.read_text()}
    assert set(names("task")) == files
