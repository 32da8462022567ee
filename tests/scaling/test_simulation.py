"""The simulator against closed forms: perfect division, steps, Amdahl, shared cores, lost work; and the same by the same seed."""

import math
from dataclasses import replace

import pytest

from es_randomized.scaling.simulation.clock import Clock, Cores
from es_randomized.scaling.simulation.costs import Cluster, Costs, Hazards, Linear, Prices
from es_randomized.scaling.simulation.predict import predict
from es_randomized.scaling.simulation.simulate import simulate

CHUNK = 0.02  # seconds: too long for several to go in one call, unless there are many
ALONE = 0.11  # too long for that ever
FREE = Costs(members=16, chunk=(CHUNK,))


def seconds(costs, workers, chunks, here=True, **cluster):
    """Of one generation; without chance all are the same."""
    outcome = simulate(costs, Cluster(workers, **cluster), chunks, 3, here)
    assert outcome.seconds == pytest.approx([outcome.seconds[0]] * 3)
    return outcome.seconds[0]


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 16, 17, 100])
def test_free_messages_make_whole_rounds_of_chunks(workers):
    assert seconds(FREE, workers, 16) == pytest.approx(math.ceil(16 / workers) * CHUNK)


@pytest.mark.parametrize("workers", [1, 10, 1_000])
def test_without_overhead_efficiency_is_one_for_any_number_of_workers(workers):
    outcome = simulate(FREE, Cluster(workers), workers, 1, True)
    assert outcome.members_per_second == pytest.approx(workers * 16 / CHUNK)
    assert outcome.idle == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("workers", [1, 2, 8, 64])
def test_what_the_coordinator_does_alone_is_amdahls_serial_part(workers):
    costs = replace(FREE, before=0.05, here=Linear(0.1, 0.001))
    serial = 0.05 + 0.1 + 0.001 * 64 * 16
    assert seconds(costs, workers, 64) == pytest.approx(serial + 64 * CHUNK / workers)


def test_parts_of_an_update_are_divided_among_workers_as_far_as_they_go():
    costs = replace(FREE, parts=16, part=Linear(0.1), told=Linear(0.01))
    for workers, rounds in ((1, 16), (4, 4), (16, 1), (32, 1)):
        expected = math.ceil(32 / workers) * CHUNK + rounds * 0.1 + 0.01
        assert seconds(costs, workers, 32, here=False) == pytest.approx(expected)


@pytest.mark.parametrize("workers", [1, 2, 5, 16])
def test_the_update_of_a_large_population_is_divided_by_rows_too(workers):
    costs = replace(FREE, parameters=3_392, members_per_row=2, parts=2, part=Linear(0.0, 1e-5))
    chunks, part = 65_536 // 16, 1e-5 * 2 * 2**12  # 8 blocks of 4,096 pairs, each with 2 parts
    expected = math.ceil(chunks / workers) * CHUNK + math.ceil(16 / workers) * part
    assert simulate(costs, Cluster(workers), chunks, 1, False).seconds[0] == pytest.approx(expected)


def test_a_coordinator_that_is_busy_all_the_time_sets_the_pace():
    costs = replace(FREE, chunk=(ALONE,), issue=1e-3, collect=1e-3)
    outcome = simulate(costs, Cluster(100), 500, 1, True)
    assert outcome.seconds[0] == pytest.approx(500 * 2e-3, rel=0.05)
    assert outcome.busy > 0.95


def test_two_calls_in_hand_hide_a_latency_shorter_than_a_chunk():
    assert seconds(replace(FREE, latency=CHUNK / 2), 1, 50) == pytest.approx(50 * CHUNK + CHUNK / 2)


def test_a_message_goes_once_to_every_machine_through_the_coordinators_network():
    costs = replace(FREE, message=1_000)
    for machines in (1, 4):
        found = seconds(costs, 8, 8, per_machine=8 // machines, bandwidth=1e5)
        results = 8 * 16 * 4 / 1e5 if machines == 1 else None
        assert found == pytest.approx(machines * 0.01 + CHUNK + (results or 16 * 4 * 2 / 1e5))


@pytest.mark.parametrize(("cores", "jobs"), [(1.0, 3), (2.0, 3), (2.0, 8), (4.0, 2), (math.inf, 9)])
def test_cores_are_shared_fairly(cores, jobs):
    clock, ended = Clock(), []
    shared = Cores(clock, cores)
    for number in range(jobs):
        shared.run(1.0, lambda number=number: ended.append((number, clock.now)))
    while len(ended) < jobs:
        clock.step()
    assert [when for _, when in ended] == pytest.approx([max(1.0, jobs / cores)] * jobs)


@pytest.mark.parametrize(
    ("cores", "jobs", "speed"), [(2.0, 1, 1.0), (2.0, 2, 0.8), (2.0, 4, 0.4), (3.0, 2, 0.9), (1.0, 2, 0.5)]
)
def test_busy_cores_slow_each_other(cores, jobs, speed):
    clock, ended = Clock(), []
    shared = Cores(clock, cores, crowded=0.8)
    for _ in range(jobs):
        shared.run(1.0, lambda: ended.append(clock.now))
    while len(ended) < jobs:
        clock.step()
    assert ended == pytest.approx([1 / speed] * jobs)


def test_a_job_that_comes_later_slows_the_others_from_then_on():
    clock, ended = Clock(), {}
    core = Cores(clock, 1.0)
    core.run(1.0, lambda: ended.update(first=clock.now))
    clock.after(0.5, lambda: core.run(0.25, lambda: ended.update(second=clock.now)))
    while len(ended) < 2:
        clock.step()
    assert ended == pytest.approx({"second": 1.0, "first": 1.25})


def test_more_workers_than_cores_are_as_fast_as_the_cores():
    assert seconds(FREE, 8, 32, cores=2.0) == pytest.approx(16 * CHUNK)


@pytest.mark.cluster
def test_failures_cost_what_was_in_hand_and_the_time_without_the_worker():
    hazards = Hazards(failures_per_hour=3_600.0, detection=0.0, replacement=0.5)
    workers, chunks = 50, 50 * 80
    outcome = simulate(replace(FREE, chunk=(ALONE,)), Cluster(workers), chunks, 1, True, hazards, seed=1)
    present = 1 - hazards.absent
    assert present == pytest.approx(2 / 3)
    elapsed = sum(outcome.seconds)
    assert outcome.lost / elapsed == pytest.approx(2 * present * workers, rel=0.15)  # two chunks in hand
    wasted = outcome.lost / 2 * ALONE / 2  # of which one was under way, half done on average
    useful = chunks * ALONE
    assert elapsed * workers * present == pytest.approx(useful + wasted, rel=0.05)


def test_notice_saves_the_work():
    preempted = Hazards(preemptions_per_hour=3_600.0, notice=2.0, replacement=0.0)
    outcome = simulate(FREE, Cluster(50), 50 * 60, 1, True, preempted, seed=1)
    assert outcome.lost == 0
    assert sum(outcome.seconds) == pytest.approx(60 * CHUNK, rel=0.1)


@pytest.mark.parametrize(("fanout", "rounds"), [("tree", 20), ("groups", 21)])
def test_supervisors_cost_a_chunk_a_level_at_most_where_messages_are_free(fanout, rounds):
    outcome = simulate(FREE, Cluster(64, per_machine=4, fanout=fanout), 64 * 20, 2, True)
    assert all(20 * CHUNK - 1e-9 <= seconds <= rounds * CHUNK + 1e-9 for seconds in outcome.seconds)
    assert outcome.calls < 64 * 20


@pytest.mark.parametrize("fanout", ["tree", "groups"])
def test_work_of_lost_machines_is_done_by_others_below_supervisors_too(fanout):
    hazards = Hazards(failures_per_hour=600.0, preemptions_per_hour=600.0, notice=1.0, detection=0.1, replacement=0.4)
    cluster = Cluster(40, per_machine=4, fanout=fanout)
    outcome = simulate(replace(FREE, chunk=(ALONE,)), cluster, 40 * 20, 3, True, hazards, seed=2)
    assert outcome.lost > 0
    mean = sum(outcome.seconds) / 3
    assert 20 * ALONE <= mean <= 1.3 * 20 * ALONE / (1 - hazards.absent)


@pytest.mark.parametrize("seed", range(5))  # in some of them a second copy goes to a silent worker too
def test_what_a_silent_worker_had_is_issued_again_before_it_is_missed(seed):
    silent = Hazards(failures_per_hour=200.0, detection=60.0, replacement=0.0)
    outcome = simulate(FREE, Cluster(100), 200, 20, True, silent, seed=seed)
    assert outcome.reissued > 0
    assert max(outcome.seconds) < 2.0  # half a second late at most, several times at worst


def test_the_same_seed_gives_the_same_run():
    costs = replace(FREE, chunk=(0.02, 0.03, 0.05), issue=1e-3, latency=1e-3)
    hazards = Hazards(30.0, 30.0, notice=1.0, detection=1.0, replacement=2.0)
    runs = [simulate(costs, Cluster(20), 100, 5, False, hazards, seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0].seconds != runs[2].seconds


def test_larger_chunks_take_the_sum_of_their_measured_times():
    costs = replace(FREE, chunk=(0.01, 0.03)).with_chunks_of(100)
    assert costs.members == 1_600
    assert seconds(replace(costs, chunk=(CHUNK,)), 4, 8) == pytest.approx(2 * 100 * CHUNK)
    spread = simulate(costs, Cluster(1), 200, 1, True).seconds[0]
    assert spread == pytest.approx(200 * 100 * 0.02, rel=0.01)


def test_the_table_of_predictions():
    rows = predict(FREE, (1, 10, 40), lambda count: 20, True, Cluster(1), prices=Prices(0.36, 0.0), calls=200)
    assert [row["efficiency"] for row in rows] == pytest.approx([1, 1, 0.5])
    assert [row["dollars per 1e9 evaluations"] for row in rows] == pytest.approx([125, 125, 250])
    assert rows[2]["generations per second"] == pytest.approx(1 / CHUNK)


def test_costs_that_grow_with_the_population():
    line = Linear.through((256, 1.0), (1_280, 2.0))
    assert [line.at(n) for n in (256, 1_280, 2_304)] == pytest.approx([1, 2, 3])
    assert Linear.through((256, 2.0), (512, 1.0)).per_member == 0
    assert Linear.through((100, 1.0), (200, 4.0)) == Linear(0.0, 0.01)
