"""Every benchmark runs its whole path in its smallest form; what it finds goes to a folder of the test."""

import json
import os
import shutil
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest import mock

import click
import jax
import numpy as np
import pytest

from benchmarks import (
    accelerator_run,
    accelerator_sections,
    accelerators,
    checkpoints,
    colouring,
    doctor,
    drivers,
    families,
    families_figure,
    fanout,
    fanout_failures,
    fanout_simulated,
    kernels,
    learning,
    learning_figure,
    low_rank,
    memory,
    overhead,
    past_directions,
    precision,
    run_overhead,
    scaling,
    simulate,
    small_generations,
    specialist_walks,
    specialists,
    together,
    trials_per_hour,
    wire,
)
from benchmarks import record as records
from benchmarks.peers import __main__ as peers
from benchmarks.peers import environments, level, workload
from es_randomized import Experiment, load
from es_randomized.config.sections import Budget
from es_randomized.config.yaml import dump, write_yaml
from es_randomized.objectives.specialists import Specialists
from es_randomized.references.treasure_hunt import Hunt, losses, randomized
from es_randomized.scaling.simulation.costs import Hazards
from tests.accelerators.test_check import DEVICE, Toy
from tests.test_ledger import FLOPS_PER_TOKEN, TOKENS
from tests.tools.command import TINY

FOLDER = Path(records.__file__).parent
RESULTS = FOLDER / "results"


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Runs a benchmark's `main` with these arguments; returns the results it wrote."""
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)

    def run(benchmark, *arguments):
        monkeypatch.setattr(sys, "argv", [benchmark.__name__, *map(str, arguments)])
        environment = mock.patch.dict(os.environ)  # Ray's settings end with the benchmark
        with environment, jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users have it
            benchmark.main(**({"standalone_mode": False} if isinstance(benchmark.main, click.Command) else {}))
        name = benchmark.__name__.removeprefix("benchmarks.").removesuffix(".__main__")
        return json.loads((tmp_path / f"{name}.json").read_text())["results"]

    return run


def test_no_script_is_forgotten():
    scripts = {path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()} | {"peers"}
    assert len(scripts) > 10
    assert [name for name in sorted(scripts) if f"test_{name}" not in globals()] == []


def test_every_experiment_of_a_benchmark_is_one(tmp_path):
    """The whole ones, which the tiny runs leave out: names of settings may have changed."""
    configs = FOLDER.parent / "configs"
    trees = [(colouring.CONFIG, changes) for changes in colouring.VARIANTS.values()]
    trees += [(configs / config, changes) for config, changes in (kernels.WORKLOADS | precision.KERNELS).values()]
    for (config, common), changes in product(past_directions.TASKS.values(), past_directions.VARIANTS.values()):
        trees.append((FOLDER.parent / config, common | changes))
    trees += [(configs / row.config, {}) for row in learning.ROWS.values()]
    trees += [(configs / config, {}) for config in drivers.FILES.values()]
    trees += [(configs / "colouring/one_phase.yaml", changes) for changes in memory.CASES.values()]
    trees += [precision.LEARNING]
    for name, base in doctor.BASES.items():
        (tmp_path / name).write_text(write_yaml(base))
    trees += [(tmp_path / case.base, case.overrides) for case in doctor.CASES.values()]
    for names, made in (
        (families.LOOPS, families.colouring),
        (families.MEMORIES, families.recall),
        (families.HUNTERS, families.hunt),
        (families.SHARING, families.evolved),
    ):
        assert all(isinstance(made(name, 0), Experiment) for name in names)
    for config, changes in trees:
        assert isinstance(load(config, changes), Experiment)
    assert [len(together.trials(base, 2)) for base in together.BASES] == [8, 8]


@pytest.mark.cluster
def test_checkpoints(ran):
    shipped = {folder.name for folder in (FOLDER.parent / "checkpoints").iterdir() if folder.is_dir()}
    found = ran(checkpoints)
    assert {f"{name}-{seed}" for name, group in found.items() for seed in group["seeds"]} == shipped


@pytest.mark.cluster
def test_colouring(ran, monkeypatch):
    monkeypatch.setattr(colouring, "CONFIG", TINY)
    monkeypatch.setattr(colouring, "PILOT", 2)
    found = ran(colouring, "--seconds", 0, "--only", "SNES")
    assert found["variants"]["SNES"]["runs"][0]["rollouts"] == 2 * 12 * 4 * 2  # generations, members, instances, seeds


@pytest.mark.cluster
def test_learning(ran, monkeypatch, tmp_path):
    row = learning.Row(str(TINY), ("single.worst", "pooled.3.p95"), (1, 1), (2, 2))
    monkeypatch.setattr(learning, "ROWS", {"tiny, here": row})
    arguments = ("--seeds", 2, "--runs", tmp_path / "runs", "--generations", 2)
    first = ran(learning, *arguments)["tiny, here"]["runs"]
    assert [run["generations"] for run in first] == [2, 2]
    for seed, run in enumerate(first):
        summary = json.loads((tmp_path / "runs" / f"tiny-here-{seed}" / "evaluation.json").read_text())
        assert run["levels"]["pooled.3.p95"] == round(100 * summary["pooled"]["3"]["p95"]["value"], 2)
    assert ran(learning, *arguments)["tiny, here"]["runs"] == first, "trained already"


@pytest.mark.cluster
def test_specialists(ran, monkeypatch, tmp_path):
    hunt = specialists.Compared("treasure_hunt/three.yaml", "single.worst", keep=2)
    monkeypatch.setattr(specialists, "ROWS", {"hunt": hunt})
    found = ran(specialists, "--seeds", 1, "--runs", tmp_path / "runs", "--generations", 4)["hunt"]
    assert [[run["generations"] for run in found[label]] for label in ("with", "without")] == [[4], [4]]


@pytest.mark.cluster
def test_specialist_walks(ran, monkeypatch):
    """No mixture of theirs beats the exact minimax, and any is as good as the best walk of all for some treasure."""
    monkeypatch.setattr(specialist_walks, "HUNTS", {"2 x 3": (2, 3, 6)})
    monkeypatch.setattr(specialist_walks, "KEEPS", (1, 2))
    found = ran(specialist_walks, "--seeds", 30, "--runs", 2)["2 x 3"]["rows"]
    hunt = Hunt(2, 3, 6)
    exact = randomized(hunt)
    assert len(found) == 2 * len(specialist_walks.DIVISIONS)
    assert all(value >= exact.lower - 1e-3 for row in found for value in row["worst"])
    assert min(value for row in found for value in row["worst"]) <= exact.upper + 1e-3
    assert all(2 <= count <= 30 for row in found for count in row["walks"])


def test_the_walk_of_a_specialist_is_the_best_of_all_for_its_weights():
    hunt, division = Hunt(2, 2, 3), specialist_walks.Division("random", 2)
    table = {losses(hunt, "".join(walk)).tobytes(): losses(hunt, "".join(walk)) for walk in product("UDLR", repeat=6)}
    for walk in specialist_walks.walks_of(hunt, 1, division, seeds=20, run=0):
        weights = [1 + 9 * np.eye(3)[best] for best in range(3)]  # keep 1, rest 0.1
        regrets = [w @ losses(hunt, walk) - min(w @ each for each in table.values()) for w in weights]
        assert min(regrets) == pytest.approx(0)


@pytest.mark.parametrize("name", specialists.ROWS)
def test_a_run_without_specialists_differs_in_their_objective_alone(name):
    told = specialists.with_specialists(specialists.ROWS[name], seed=1)
    rising = specialists.without_specialists(told)
    assert isinstance(told.phases[0].objective, Specialists)
    for phase, other in zip(told.phases, rising.phases, strict=True):
        told_apart = isinstance(phase.objective, Specialists)
        assert other == (replace(phase, objective=other.objective) if told_apart else phase)
        assert not isinstance(other.objective, Specialists)
    first, after = rising.phases[0].objective.q, rising.objective.q
    assert (first.start, first.end) == (1, after.start)
    assert replace(rising, phases=told.phases) == told


@pytest.mark.cluster
def test_drivers(ran, monkeypatch, tmp_path):
    monkeypatch.setattr(drivers, "BUDGETS", {"evolution": (10, 20), "gradient descent": (10,)})
    found = ran(drivers, "--runs", tmp_path / "runs", "--out", tmp_path / "drivers.png")["points"]
    rollouts = [point["runs"][0]["rollouts"] for point in found]
    assert rollouts == [10 * 256 * 16 * 8, 20 * 256 * 16 * 8, 10 * 16 * 8]
    assert (tmp_path / "drivers.png").read_bytes().startswith(b"\x89PNG")


def test_learning_figure(tmp_path):
    """The picture in docs/, of runs that are shipped."""
    picture = tmp_path / "randomness.png"
    learning_figure.main(["--out", str(picture)], standalone_mode=False)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (FOLDER.parent / "docs" / "figures" / picture.name).exists()


@pytest.mark.cluster
def test_families(ran, monkeypatch, tmp_path):
    monkeypatch.setattr(families, "FIGURES", tmp_path)
    monkeypatch.setattr(families, "MEMORIES", {"linear": families.MEMORIES["linear"]})
    monkeypatch.setitem(families.STUDIES, "memory", (families.MEMORIES, families.memory_of))
    whole = families.recall

    def short(name, seed):
        made = whole(name, seed)
        return replace(made, budget=Budget(generations=2), evaluation=replace(made.evaluation, seeds=60, instances=16))

    monkeypatch.setattr(families, "recall", short)
    found = ran(families, "--only", "memory", "--seeds", 2)["memory"]["linear"]
    assert found["0"]["memory"] == found["1"]["memory"] == 4 * 4
    assert found["0"]["fresh"] != found["1"]["fresh"]
    assert (tmp_path / "families-memory.png").exists()


def test_pictures_of_families(tmp_path):
    """Those in docs/, of the results that are shipped."""
    families_figure.draw(records.recorded("families"), tmp_path)
    drawn = {path.name for path in tmp_path.glob("families-*.png")}
    assert drawn == {path.name for path in (FOLDER.parent / "docs" / "figures").glob("families-*.png")}


@pytest.mark.cluster
def test_kernels(ran, monkeypatch):
    monkeypatch.setattr(kernels, "WORKLOADS", {"tiny": (str(TINY), {})})
    assert 0 < ran(kernels, "--rounds", 1)["tiny"]["ratio"] < 10


def test_accelerators(ran, monkeypatch):
    monkeypatch.setattr(accelerators, "WORKLOADS", {"tiny": (str(TINY), {})})
    monkeypatch.setattr(accelerators, "MEMBERS", 12)
    monkeypatch.setattr("es_randomized.accelerators.device_type.device_type", lambda name: DEVICE)
    monkeypatch.setattr("es_randomized.accelerators.elsewhere.compiler_for", Toy)
    found = ran(accelerators, "--target", "toy", "--block", 1)["after"]["toy"]["tiny"]
    assert found["MFLOP a member"] == pytest.approx(TOKENS * FLOPS_PER_TOKEN / 1e6)
    assert found["members/s at most"] == pytest.approx(DEVICE.bandwidth / found["MB a member"] / 1e6)


@pytest.mark.pages
def test_accelerator_run(ran, tmp_path):
    """Its small version on a CPU: every section, each in a process of its own."""
    found = ran(accelerator_run, "--tiny", "--minutes", 20)
    assert set(found) == set(accelerator_sections.SECTIONS)
    assert found["right"]["colouring"]["the same"] == 1
    assert found["right"]["colouring"]["largest difference"] < 1e-5
    assert set(found["fast"]) == {"device", "colouring, block 1", "colouring, block 2"}
    assert found["low rank"]["rank 1, with the update"]["seconds"] > 0
    assert found["memory"]["population"] == 16
    assert 0 <= found["learning"]["average"] <= found["learning"]["worst"] <= 1
    page = (tmp_path / "accelerator_run.md").read_text()
    assert page.count("## ") == 5
    assert "failed" not in page


def test_a_section_that_fails_leaves_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(accelerator_run, "SECTIONS", {"memory": None, "right": None})
    answers = iter([{"failed": "no room"}, {"device": "toy", "recall": {}}])
    monkeypatch.setattr(accelerator_run, "_in_a_process", lambda *_: next(answers))
    monkeypatch.setattr(accelerator_run, "page_of", lambda _: "page")
    with pytest.raises(SystemExit, match="failed: memory"):
        accelerator_run.main(["--minutes", "1"], standalone_mode=False)
    assert json.loads((tmp_path / "accelerator_run.json").read_text())["results"]["right"]["device"] == "toy"


@pytest.mark.pages
def test_precision(ran, monkeypatch):
    monkeypatch.setattr(precision, "WIDTHS", (4,))
    monkeypatch.setattr(precision, "PRODUCT_FLOPS", 1e4)
    monkeypatch.setattr(precision, "KERNELS", {"tiny": (str(TINY), {})})
    monkeypatch.setattr(precision, "LEARNING", (TINY, {}))
    found = ran(precision, "--rounds", 2, "--seeds", 2, "--generations", 1)
    assert {name: len(runs) for name, runs in found["learning"]["runs"].items()} == {"float32": 2, "bfloat16": 2}


@pytest.mark.cluster
def test_past_directions(ran, monkeypatch):
    monkeypatch.setattr(past_directions, "TASKS", {"colouring": (str(TINY), {})})
    for name in set(past_directions.VARIANTS) - {"orthogonal, no past"}:
        monkeypatch.delitem(past_directions.VARIANTS, name)
    found = ran(past_directions, "--seeds", 2, "--generations", 3)
    (entry,) = found["tasks"]["colouring"].values()
    assert len(entry["runs"]) == 2
    assert ran(past_directions, "--seeds", 2, "--generations", 3) == found  # it goes on where it stopped


@pytest.mark.pages
def test_simulate(ran, monkeypatch, tmp_path):
    shutil.copy(RESULTS / "scaling.json", tmp_path)
    monkeypatch.setattr(simulate, "FIGURE", tmp_path / "scaling.png")
    monkeypatch.setattr(simulate, "VALIDATION_GENERATIONS", 5)
    found = ran(simulate, "--workers", 1, "--calls", 10)
    assert len(found["validation"]["rows"]) == 12  # of scaling.json
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.pages
def test_low_rank(ran):
    assert len(ran(low_rank, "--width", 4, "--members", 4)["seconds"]) == 7


@pytest.mark.pages
def test_memory(ran):
    found = ran(memory, "--population", 16)
    assert {case: each["population"] for case, each in found.items()} == {"memory": 16, "time": 16}


@pytest.mark.cluster
def test_overhead(ran):
    found = ran(overhead, "--workers", 1, "--populations", 16, "--pairs", 2)
    assert found["milliseconds per generation, by workers and population"]["1"]["16"]["with workers"] > 0


@pytest.mark.cluster
def test_small_generations(ran):
    found = ran(small_generations, "--workers", 1, "--members", 128, "--rounds", 1)
    assert found["milliseconds per generation, by members of a chunk"]["128"]["least"] > 0


@pytest.mark.cluster
def test_run_overhead(ran, monkeypatch):
    monkeypatch.setattr(run_overhead, "FILES", ("recall/eight_gradient.yaml",))
    found = ran(run_overhead, "--generations", 20, "--pairs", 1)["milliseconds per generation"]
    assert found["recall/eight_gradient.yaml"]["run"] > 0


@pytest.mark.pages
def test_together(ran):
    found = ran(together, "colouring", "--rounds", 1, "--generations", 2, "--trials", 2)
    assert found["colouring"]["trials"] == 2


@pytest.mark.pages
def test_trials_per_hour(ran):
    found = ran(trials_per_hour, "--trials", 2, "--generations", 1, "--jobs", 2, "--repetitions", 1)
    assert found["trials an hour"]["2"] == pytest.approx(2 * 3600 / found["seconds"]["2"][0])
    assert found["efficiency"]["2"] == 1


@pytest.mark.cluster
def test_scaling(ran):
    found = ran(scaling, "--seconds", 0.2, "--repetitions", 1, "--population", 8, "--workers", 1)
    assert [row["workers"] for row in found["rows"]] == [1, 1, 1]


@pytest.mark.cluster
def test_fanout(ran):
    found = ran(fanout, "--workers", 3, "--seconds", 0.02, "--generations", 1)
    for shape in fanout.SHAPES:
        (row,) = found["workers"]["3"][shape]["rows"]
        assert 0 < row["efficiency"] <= 1
        assert row["calls of the coordinator"] > 0


@pytest.mark.cluster
def test_fanout_simulated(ran, tmp_path):
    tree = json.loads((RESULTS / "fanout.json").read_text())
    tree["results"]["workers"] = {"8": tree["results"]["workers"]["8"]}
    (tmp_path / "fanout.json").write_text(json.dumps(tree))
    found = ran(fanout_simulated, "--workers", 96)
    flat, tree, _ = found["predicted"][:3]
    assert (flat["fanout"], tree["fanout"]) == ("flat", "tree")
    assert 0 < flat["efficiency"] < tree["efficiency"] < 1
    assert all(row["simulated"] > row["measured"] for row in found["repeated"])


@pytest.mark.cluster
def test_fanout_failures(ran, monkeypatch, tmp_path):
    monkeypatch.setattr(fanout_failures, "HAZARDS", Hazards(failures_per_hour=40.0))
    (tmp_path / "fanout.json").write_text((RESULTS / "fanout.json").read_text())
    found = ran(fanout_failures, "--workers", 96, "--generations", 30)
    assert 0.05 < found["efficiency"] < 0.95 < found["efficiency without failures"] < 1


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="it makes network namespaces: root, Linux")
def test_wire(ran):
    found = ran(wire, "--sizes", "1e4", "--kinds", "Open_ES", "--generations", 2, "--idle", 1)
    assert 0 < found["Open_ES"]["1e4"]["of the bound"] < 1


@pytest.mark.cluster
@pytest.mark.parametrize("peer", peers.PEERS)
def test_peers(ran, peer, monkeypatch, tmp_path):
    """Speed, then the race to a level that anything reaches."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)  # where a reader of the README has the environments of peers
    entry = peers.PEERS[peer]
    if not environments.installed(entry.folder, entry.python):
        pytest.skip(f"{entry.folder} has no environment here; `python -m benchmarks.peers` makes it")
    monkeypatch.setattr(peers, "FIGURES", tmp_path)
    for name, value in {"LEVEL": 0.0, "GENERATIONS": 10}.items():
        monkeypatch.setattr(level, name, value)
    few = workload._enumerated(workload.experiment(workload.configured("", 4, 1, 0.0, 0, tmp_path)).task)[:, :16]
    monkeypatch.setattr(workload, "_enumerated", lambda _: few)
    monkeypatch.setattr(workload, "JUDGED", 8)
    found = ran(peers, "--only", peer, "--population", 4, "--seconds", 0)
    assert found["unavailable"] == {}
    assert found["agreement"][peer] < peers.TOLERANCE
    raced = found["level"]["rounds"][0][peer]
    assert raced["generation"] == 10
    assert raced["curve"][-1]["all_cycles"]["p95"] >= 0
    assert found["level"]["seconds"][peer] >= found["level"]["trained_seconds"][peer] > 0
    assert (tmp_path / "peers-race.png").exists()


@pytest.mark.cluster
def test_doctor(ran, monkeypatch):
    monkeypatch.setattr(doctor, "BASES", {"tiny": dump(load(TINY))})
    monkeypatch.setattr(doctor, "CASES", {"few members": doctor.Case("tiny", {}, ("population too small",))})
    found = ran(doctor)
    assert found["named_first"] == "1 of 1"
    assert found["cases"]["few members"]["findings"][0]["setting"] == "driver.population"
