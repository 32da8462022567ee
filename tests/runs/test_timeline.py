"""Who computed when: everything workers did is in exactly one stretch, and stretches are few."""

from pathlib import Path

import pyarrow.parquet as pq

from es_randomized.drivers.workers import WorkerStatus
from es_randomized.runs.timeline import Timeline, read_timeline

ORIGIN = 1000.0  # of the seconds of training, on the workers' clock


def worker(number: int, units: int = 0, busy: float = 0.0, joined: float = 0.0, **more: object) -> WorkerStatus:
    fields = {"under_way": 2, "since": None, "late": 0, "gone": None, "lost": False} | more
    return WorkerStatus(number, f"node{number}", 100 + number, "cpu", ORIGIN + joined, units=units, busy=busy, **fields)


class Crew(list[WorkerStatus]):
    """Workers and a time that a test changes."""

    time = 0.0

    def __call__(self) -> list[WorkerStatus]:
        return list(self)


def opened(folder: Path, crew: Crew, generation: int = 0, seconds: float = 0.0) -> Timeline:
    return Timeline(folder / "workers", crew, generation, seconds, lambda: ORIGIN + crew.time)


def test_parts_of_before_supervisors_are_read_as_well(tmp_path: Path) -> None:
    crew = Crew([worker(0, 4, 0.5)])
    timeline = opened(tmp_path, crew)
    crew.time = 3.0
    timeline.close(0)
    timeline.flush()
    (part,) = (tmp_path / "workers").glob("*.parquet")
    now = read_timeline(tmp_path / "workers")
    pq.write_table(now.drop_columns(["waited", "workers"]), part)
    before = read_timeline(tmp_path / "workers")
    assert before.schema.names == now.schema.names
    assert before["waited"].to_pylist() == [None]


def test_stretches_are_whole_generations_of_at_least_a_second(tmp_path: Path) -> None:
    crew = Crew([worker(0)])
    timeline = opened(tmp_path, crew)
    for generation in range(25):
        crew[:] = [worker(0, 4 * (generation + 1), 0.09 * (generation + 1))]
        crew.time = 0.1001 * (generation + 1)
        timeline.add(generation)
    timeline.close(24)
    timeline.flush()
    rows = read_timeline(tmp_path / "workers").to_pylist()
    assert [(row["first_generation"], row["last_generation"], row["units"]) for row in rows] == [
        (0, 9, 40),
        (10, 19, 40),
        (20, 24, 20),
    ]
    assert [row["begin"] for row in rows[1:]] == [row["end"] for row in rows[:-1]]
    assert abs(sum(row["busy"] for row in rows) - 0.09 * 25) < 1e-9


def test_long_runs_have_few_stretches(tmp_path: Path) -> None:
    crew, week = Crew([worker(0)]), 7 * 86_400
    timeline = opened(tmp_path, crew)
    for generation in range(week // 40):
        crew.time += 40.0
        timeline.add(generation)
    timeline.flush()
    assert 2_500 < len(read_timeline(tmp_path / "workers")) < 4_000


def test_who_joins_leaves_or_is_lost_is_recorded_once_with_its_times(tmp_path: Path) -> None:
    crew = Crew([worker(0), worker(1), worker(2)])
    timeline = opened(tmp_path, crew)
    crew[:] = [
        worker(1, 3, 1.5, gone=ORIGIN + 1.75, lost=True, under_way=4, late=1),
        worker(2, 5, 1.0, gone=ORIGIN + 1.25, under_way=0),
        worker(0, 8, 1.9),
        worker(3, 2, 0.2, joined=1.5),
    ]
    crew.time = 2.0
    timeline.add(0)
    crew[2] = worker(0, 9, 2.0)
    crew.time = 4.0
    timeline.add(1)
    timeline.flush()
    rows = read_timeline(tmp_path / "workers").to_pylist()
    assert [(row["worker"], row["begin"], row["end"], row["fate"], row["lost"], row["late"]) for row in rows] == [
        (1, 0.0, 1.75, "lost", 4, 1),
        (2, 0.0, 1.25, "left", 0, 0),
        (0, 0.0, 2.0, None, 0, 0),
        (3, 1.5, 2.0, None, 0, 0),
        (0, 2.0, 4.0, None, 0, 0),
        (3, 2.0, 4.0, None, 0, 0),
    ]


def test_a_resumed_run_goes_on_where_the_seconds_of_training_stopped(tmp_path: Path) -> None:
    crew = Crew([worker(0)])
    first = opened(tmp_path, crew)
    crew.time = 2.0
    first.close(4)
    first.flush()
    crew = Crew([worker(0, 7, joined=-3.0)])  # seven units of the replay, which are nobody's training
    second = opened(tmp_path, crew, 5, 2.0)
    crew.time, crew[:] = 1.0, [worker(0, 10, joined=-3.0)]
    second.close(5)
    second.close(5)
    second.flush()
    rows = read_timeline(tmp_path / "workers").to_pylist()
    assert [(row["first_generation"], row["begin"], row["end"], row["units"]) for row in rows] == [
        (0, 0.0, 2.0, 0),
        (5, 2.0, 3.0, 3),
    ]


def test_a_run_without_workers_leaves_nothing(tmp_path: Path) -> None:
    timeline = opened(tmp_path, Crew())
    timeline.close(0)
    timeline.flush()
    assert not (tmp_path / "workers").exists()
    assert len(read_timeline(tmp_path / "workers")) == 0
