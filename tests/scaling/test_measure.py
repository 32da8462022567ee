"""What generations cost becomes rows, efficiencies and the simulator's costs; the command prints and writes them."""

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from es_randomized.cli.main import cli
from es_randomized.scaling.calibrate import Calibration
from es_randomized.scaling.generation import Generation
from es_randomized.scaling.measure import doubling, efficiency, interleaved, row_of, spread
from es_randomized.scaling.simulation.costs import Cluster, Costs, Linear
from es_randomized.scaling.simulation.simulate import simulate
from tests.tools.command import TINY, TINY_GRADIENT, run

# A made-up machine: every number is a different one, so that none can stand for another.
TRUTH = Costs(
    members=16,
    chunk=(0.020, 0.022),
    parameters=3_500,
    members_per_row=2,
    parts=16,
    part=Linear(0.0001, 1e-6),
    before=0.001,
    here=Linear(0.002, 2e-5),
    told=Linear(0.003, 3e-6),
    turn=Linear(0.0004),
    issue=0.0005,
    collect=0.0006,
    receive=0.0007,
    background=0.0008,
    latency=0.0009,
    message=20_000,
    sums=4 * 224,
)


def account(population: int, here: bool) -> Generation:
    """What an evaluator would write down on that machine."""
    chunks = population // TRUTH.members
    parts = [] if here else [TRUTH.part.at(TRUTH.of_part(population))] * 2
    calls = chunks + len(parts)
    return Generation(
        seconds=1.0,
        before=TRUTH.before,
        after=(TRUTH.here if here else TRUTH.told).at(population),
        turns=calls,
        calls=calls,
        turn=TRUTH.turn.fixed * calls,
        issue=TRUTH.issue * calls,
        collect=TRUTH.collect * calls,
        background=TRUTH.background * calls,
        chunks=list(TRUTH.chunk) * (chunks // 2),
        parts=parts,
        computed=sum(TRUTH.chunk) * chunks / 2,
        first=[TRUTH.latency + TRUTH.issue + TRUTH.receive],
        next=[TRUTH.receive] * (calls - 1),
        down=TRUTH.message,
        up=4 * population,
    )


EVOLUTION = SimpleNamespace(
    strategy=SimpleNamespace(
        population=256, members_per_row=2, parameters=3_500, parts=SimpleNamespace(across=16, shape=(1, 224))
    ),
    chunk_rows=8,
)


def observed(*populations: int) -> Calibration:
    """What calibration knows after a look at that machine."""
    calibration = Calibration()
    for population in populations:
        for here in (True, False):
            calibration.add(population, here, [account(population, here)] * 3, TRUTH.message)
    return calibration


@pytest.mark.parametrize("large", [1_024, 40_960])  # members of one block of rows, and of five
def test_calibration_finds_the_costs_of_a_made_up_machine(large: int) -> None:
    found = observed(256, large).costs(EVOLUTION)
    assert set(found.chunk) == set(TRUTH.chunk)
    for name in ("part", "here", "told", "turn"):
        assert tuple(getattr(found, name)) == pytest.approx(tuple(getattr(TRUTH, name))), name
    for name in (
        "members",
        "parameters",
        "members_per_row",
        "parts",
        "before",
        "issue",
        "collect",
        "receive",
        "background",
        "latency",
        "message",
        "sums",
    ):
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name)), name
    assert simulate(found, Cluster(2), 16, 2, True) == simulate(
        Costs.of(json.loads(json.dumps(asdict(found)))), Cluster(2), 16, 2, True
    )


def test_with_one_population_an_update_is_taken_to_grow_in_proportion() -> None:
    found = observed(256).costs(EVOLUTION)
    assert found.here.fixed == 0
    assert found.here.at(512) == pytest.approx(2 * TRUTH.here.at(256))


def test_a_row_is_what_its_generations_say() -> None:
    row = row_of([account(256, True)] * 3, 256, workers=2)
    assert row["members per second"] == 256
    assert row["messages"] == 32
    assert row["workers busy"] == pytest.approx(0.021 * 16 / 2)
    steps = 16 * (TRUTH.turn.fixed + TRUTH.issue + TRUTH.collect)
    assert row["seconds of the coordinator"] == pytest.approx(TRUTH.before + TRUTH.here.at(256) + steps)


def test_repetitions_are_interleaved_and_compared_one_by_one() -> None:
    seen: list[object] = []

    def measure(case: int) -> dict[str, float]:
        seen.append(case)
        return {"members per second": 100.0 * case * len(seen)}

    found = interleaved([1, 2, 3], measure, 4, seen.append)
    assert [sorted(seen[at : at + 4]) for at in range(0, 16, 4)] == [sorted([n, 1, 2, 3]) for n in range(4)]
    assert {len(rows) for rows in found.values()} == {4}
    one, two = ([{"members per second": rate} for rate in rates] for rates in ((10.0, 20.0), (19.0, 36.0)))
    assert efficiency(one, two, 2) == spread([0.95, 0.9])
    assert (doubling(1), doubling(8), doubling(11)) == ([1], [1, 2, 4, 8], [1, 2, 4, 8, 11])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "cannot read the experiment nowhere.yaml"),
        ([str(TINY_GRADIENT)], "has no members that workers could evaluate; bench takes an evolution strategy"),
        ([str(TINY), "--json", "nowhere/bench.json"], "there is no folder nowhere; make it first"),
        ([str(TINY), "--driver.populatoin", "8"], "did you mean population?"),
        (["--wrkers", "2"], "--wrkers: no such option"),
        (["--driver.populatoin", "8"], "did you mean population?"),
    ],
)
def test_mistakes_are_told_before_a_cluster_starts(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["bench", *arguments])
    assert result.exit_code
    assert message in f"{result.output} {result.exception}"


@pytest.mark.pages
def test_the_command_measures_a_cluster_and_says_what_is_simulated(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    phases = "--phases", "[{share: 1, batch: {seeds: 1}}, {share: 1}]"  # not measured
    result = run("bench", TINY, *phases, "--workers", 2, "--seconds", 0.05, "--repetitions", 1, "--json", file)
    assert result.returncode == 0, result.stderr
    printed = " ".join(result.stdout.split())  # captions are as narrow as their tables
    for words in (
        "without its phases",
        "measured (medians)",
        "cores lose to each other",
        "SIMULATED, not measured: 12 members a worker",
        "coordinator ms",
        str(file),
    ):
        assert words in printed
    found = json.loads(file.read_text())
    assert list(found["measured"]) == ["1", "2"]
    assert 0 < found["crowded"] < 2  # tiny kernels: 1 but for what the clock and the scheduler do to them
    assert found["measured"]["1"]["efficiency"] == {"median": 1, "low": 1, "high": 1}
    assert found["costs"]["members"] == 4
    assert found["costs"]["turn"][1] > 0
    assert {row["workers"] for table in found["simulated"] for row in table["rows"]} >= {4, 16, 64, 256}
    assert found["provenance"]["packages"]["ray"]
