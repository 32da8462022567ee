"""What is shown while a run trains: how far, how long still, who works; on any width; and lines where there is no terminal."""

import io

import pytest
from rich.console import Console

from es_randomized.cli.display import Changes, Lines, showing
from es_randomized.cli.view import View
from es_randomized.cli.view_text import duration, quantity
from es_randomized.config.sections import Budget
from es_randomized.drivers.workers import WorkerStatus

CHECK = {"held_out_average": 0.9, "held_out_p95": 0.5, "held_out_worst": 0.125}


def row(generation, loss=1.0, check=False, non_finite=0):
    numbers = {"loss_mean": loss, "loss_best": loss / 2, "non_finite": non_finite, "seconds": float(generation)}
    return {"generation": generation, "rollouts": 1000 * (generation + 1)} | numbers | (CHECK if check else {})


def worker(number, now=0.0, **changes):
    fields = {
        "node": f"{number:02}ab34cd56ef", "pid": 4000 + number, "device": "cpu", "joined": 0.0, "under_way": 2,
        "since": now - 0.25, "units": int(10 * now), "busy": 0.9 * now, "late": 0, "gone": None, "lost": False,
    }  # fmt: skip
    return WorkerStatus(number, **(fields | changes))


class Watched:
    """A view of a run of 100 generations, one a second, whose time a test sets."""

    def __init__(self, seconds=None, workers=2):
        self.now, self.count = 0.0, workers
        self.gone = [worker(99, gone=1.0, lost=True)]
        self.view = View(100, seconds, self.workers, lambda: self.now)

    def workers(self):
        return [*self.gone, *(worker(number, self.now, late=3 * (number == 1)) for number in range(self.count))]

    def trains(self, until, **changes):
        for generation in range(until):
            self.now = generation + 1.0
            self.view.update(row(generation, loss=2.0 - generation / 100, check=generation == 30, **changes))
            self.shown()

    def shown(self, width=100, height=40):
        console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
        console.print(self.view)
        return console.file.getvalue().splitlines()


def test_before_the_first_generation_nobody_knows_how_long_it_takes():
    lines = Watched().shown()
    assert lines[0].startswith("generation 0/100")
    assert "nobody knows yet how long it takes" in lines[1]
    assert "at most 1:30 left" in Watched(seconds=90.0).shown()[1]


def test_every_number_has_its_place():
    watched = Watched()
    watched.trains(40, non_finite=3)
    text = "\n".join(watched.shown())
    for words in (
        "generation 40/100", "40%", "0:40 so far", "about 1:00 left", "mean 1.61 (lowest 1.61)",
        "best member 0.805 (lowest 0.805)", "3 not finite", "average 0.9   p95 0.5   worst 0.125",
        "held out, after generation 31", "1 generations/s", "1,000 rollouts/s", "2 workers on cpu", "busy 90%", "1 lost",
    ):  # fmt: skip
        assert words in text
    head, first, second = watched.shown()[-3:]
    columns = ["worker", "machine", "pid", "under way", "for", "done", "units/s", "busy", "late"]
    assert head.split() == " ".join(columns).split()
    assert first.split() == ["0", "00ab34cd", "4000", "2", "0.2", "s", "400", "10", "90%", "0"]
    assert second.split()[-1] == "3"


def test_whichever_ends_the_run_first_is_counted_down():
    watched = Watched(seconds=50.0)
    watched.trains(40)
    assert "80%" in watched.shown()[0]
    assert "0:10 left of 50 s" in watched.shown()[1]
    watched = Watched(seconds=500.0)
    watched.trains(40)
    assert "about 1:00 left" in watched.shown()[1]


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_nor_the_table_longer(width):
    watched = Watched(workers=64)
    watched.trains(40)
    lines = watched.shown(width, height=24)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    assert lines[-1].startswith("and ")
    assert any(line.split()[:2] == ["0", "00ab34cd"] for line in lines)


def test_a_worker_that_brought_nothing_back_lately_is_not_called_idle():
    watched = Watched(workers=0)
    watched.gone = [worker(0, units=7, busy=1.0, since=3.0)]
    watched.trains(40)
    assert watched.shown()[-1].split() == ["0", "00ab34cd", "4000", "2", "37.0", "s", "7", "–", "–", "0"]


def test_without_a_terminal_there_are_lines_and_who_came_and_went():
    console = Console(file=io.StringIO(), width=200)
    crew = [worker(0), worker(1), worker(2, gone=0.0)]
    with showing(console, Budget(generations=3), None, lambda: list(crew)) as show:
        show(row(0, check=True))
        crew[1] = worker(1, gone=2.0, lost=True, units=1234)
        crew.append(worker(3))
        show(row(1))
        show(row(2, loss=0.5, non_finite=1))
    assert console.file.getvalue().splitlines() == [
        "generation 1/3  0 s  loss 1.000  held out: average 0.9, p95 0.5, worst 0.125",
        "generation 3/3  2 s  loss 0.500  held out: average 0.9, p95 0.5, worst 0.125  1 not finite",
        "worker 1 was lost with 2 units under way; it had done 1,234: machine 01ab34cd, pid 4001, cpu",
        "worker 3 joined: machine 03ab34cd, pid 4003, cpu",
    ]


def test_nobody_is_announced_twice():
    console = Console(file=io.StringIO(), width=200)
    crew = [worker(0)]
    changes = Changes(console, lambda: list(crew))
    crew[0] = worker(0, gone=1.0)
    changes.print_changes()
    changes.print_changes()
    changes.print_now_and_then()
    assert console.file.getvalue().count("worker 0 left") == 1


def test_lines_come_print_now_and_then():
    console = Console(file=io.StringIO(), width=200)
    lines = Lines(console, 1000)
    for generation in range(500):
        lines(row(generation))
    assert len(console.file.getvalue().splitlines()) == 1


def test_words_for_numbers():
    assert [duration(seconds) for seconds in (0.4, 59.6, 61.0, 3725.0)] == ["0:00", "1:00", "1:01", "1:02:05"]
    shown = [quantity(value) for value in (0.01234, 1.5, 123.4, 9876.0, 12_345.0, 262_144.0, 3.2e7, 4.56e10)]
    assert shown == ["0.0123", "1.5", "123", "9,876", "12.3 k", "262 k", "32 M", "45.6 G"]
