"""A coordinator, supervisors and workers without Ray: threads in their place, and deaths when a test wants them."""

import itertools
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import ray

from es_randomized.distributed import supervisor as supervisors
from es_randomized.distributed.hub import DEATHS_PER_UNIT, Hub, UnitError
from es_randomized.distributed.inbox import Inbox
from es_randomized.distributed.messages import Argument, Step, answer_call, pass_on, send_call
from es_randomized.distributed.pool import Pool
from es_randomized.distributed.staff import Place, Staff
from es_randomized.distributed.supervisor import Supervisor
from es_randomized.distributed.worker import WorkerInfo
from tests.tools.command import wait_until

INFO = WorkerInfo("0123456789", "cpu", "cpu", {"jax": "1"}, 4711, 1)


class Worker:
    """Its results say what they are of; some units raise, some kill it."""

    def __init__(self, machines):
        self.machines, self.units, self.turn = machines, [], threading.Lock()

    def ready(self):
        return INFO

    def call(self, packed, *large):
        with self.turn:  # one call after the other
            time.sleep(self.machines.seconds)
            return answer_call(self, packed, large)

    def evaluate(self, generation, message, units):
        self.units += units
        if set(units) & self.machines.wrong:
            raise ValueError("too large")
        if set(units) & self.machines.deadly:
            raise SystemExit
        return [np.float32([unit, generation, message[0]]).tobytes() for unit in units], 0.001 * len(units)


class Actor:
    """Calls an object's methods in threads, as Ray would in another process."""

    __class__ = property(lambda _: ray.actor.ActorHandle)  # for whoever asks

    def __init__(self, target):
        self.target, self.owns, self.dead, self._open = target, None, False, []
        self.ready = SimpleNamespace(remote=lambda: self._called(target.ready))
        self.call = SimpleNamespace(remote=lambda *arguments: self._called(target.call, *arguments))

    def _called(self, method, *arguments):
        value = Future()
        self._open.append(value)
        threading.Thread(target=self._run, args=(value, method, arguments), daemon=True).start()
        if self.dead:
            self.end()
        return Reference(value)

    def _run(self, value, method, arguments):
        try:
            result = method(*arguments)
            if not self.dead:
                value.set_result(result)
        except SystemExit:
            self.end()
        except Exception as error:
            value.set_exception(ray.exceptions.RayTaskError("call", "", error))

    def end(self):
        """What Ray makes of a killed process: its calls fail, and whatever it started is ended."""
        self.dead = True
        for value in self._open:
            if not value.done():
                value.set_exception(ray.exceptions.RayActorError())
        if self.owns:
            self.owns.workers = 0
            for actor in self.owns.actors:
                actor.end()


class Reference:
    __class__ = property(lambda _: ray.ObjectRef)  # for whoever asks

    def __init__(self, value):
        self._value = value

    def future(self):
        return self._value


class Workers(Staff):
    """Of a machine, or of all of them."""

    send = staticmethod(send_call)

    def __init__(self, machines, workers):
        self.machines, self.workers, self.actors = machines, workers, []

    def missing(self, present):
        return [Place("here")] * (self.workers - len(present))

    def start(self, place):
        self.actors.append(actor := Actor(Worker(self.machines)))
        return actor, actor.ready.remote()

    def going(self):
        return set()


class Supervised(Workers):
    """Machines with a supervisor each."""

    send = staticmethod(pass_on)

    def missing(self, present):
        taken = {place.node for place in present}
        nodes = range(self.machines.count if self.workers else 0)
        return [Place(f"{node}", self.workers) for node in nodes if f"{node}" not in taken]

    def start(self, place):
        owned = self.owned(place)
        supervisor = Ended(place, lambda _: owned, 1, INFO.versions, False)
        self.machines.supervisors.append(supervisor)
        actor = Actor(supervisor)
        actor.owns = owned
        self.actors.append(actor)
        return actor, actor.ready.remote()

    def owned(self, place):
        self.machines.staffs.append(Workers(self.machines, place.workers))
        return self.machines.staffs[-1]


class Grouped(Supervised):
    """The same with a supervisor above those of all machines."""

    def missing(self, present):
        return [Place("0", self.workers)] if not present else []

    def owned(self, place):
        return Supervised(self.machines, place.workers)


class Ended(Supervisor):
    """Its thread ends when it takes an `End`, as it would with its process."""

    def _serve(self):
        with suppress(SystemExit):
            super()._serve()


class End(supervisors.Asked):
    step = answer = property(lambda _: sys.exit())

    def __init__(self):
        pass


@pytest.fixture
def machines(monkeypatch):
    """Two machines of three workers; what happens to them is set here. No thread of theirs outlives a test."""
    found = SimpleNamespace(count=2, seconds=0.001, wrong=set(), deadly=set(), staffs=[], supervisors=[])

    monkeypatch.setattr(supervisors, "this_machine", lambda: "0123456789")
    monkeypatch.setattr(ray, "kill", lambda actor: actor.end())
    yield found
    for supervisor in found.supervisors:
        supervisor._inbox.put(End())
    wait_until(lambda: not any("_serve" in thread.name for thread in threading.enumerate()), "the end of all threads")


class Coordinator:
    def __init__(self, staff):
        self.inbox, self.events, self.steps = Inbox(), [], 0
        self.pool = Pool(staff, self.inbox, INFO.versions, False, self.events.append)
        self.hub = Hub(self.pool, self.inbox, 1, self.events.append)
        self.pool.fill()

    def run(self, units, between=lambda: None):
        """All results of a step; `between` is called in every turn."""
        self.steps += 1
        step = Step.of(self.steps, "evaluate", self.steps + 40, (Argument(4, [7.0]),))
        work, until = self.hub.work(units, step), time.monotonic() + 30
        while not work.complete:
            self.hub.turn(work, step)
            between()
            assert time.monotonic() < until, "the step does not end"
        self.hub.end(work, step)
        return [np.frombuffer(work.results[unit], np.float32).tolist() for unit in range(units)]

    def calls(self):
        return sum(type(event).__name__ == "CallIssued" for event in self.events)


def expected(units, step):
    return [[unit, step + 40, 7.0] for unit in range(units)]


def test_a_tree_computes_what_a_flat_pool_computes_in_fewer_calls_of_the_coordinator(machines):
    machines.seconds = 0.02
    flat, tree = Coordinator(Workers(machines, 6)), Coordinator(Supervised(machines, 3))
    for units in (600, 7):
        step = flat.steps + 1
        assert flat.run(units) == tree.run(units) == expected(units, step)
    assert tree.calls() < flat.calls() / 2
    everybody = [actor.target for staff in machines.staffs for actor in staff.actors]
    assert len(everybody) == 6
    assert all(worker.units for worker in everybody)
    assert sorted(worker.workers for worker in tree.pool.ready) == [3, 3]  # as they say themselves
    flat.pool.close()
    tree.pool.close()
    assert all(actor.dead for staff in machines.staffs for actor in staff.actors)


def test_a_group_of_machines_is_one_taker_of_all_their_workers(machines):
    machines.seconds = 0.005
    groups = Coordinator(Grouped(machines, 3))
    for step in (1, 2):
        assert groups.run(90) == expected(90, step)
    assert [worker.workers for worker in groups.pool.ready] == [6]
    group = groups.pool.ready[0].actor
    group.owns.actors[0].end()  # a machine
    assert groups.run(90) == expected(90, 3)
    assert groups.pool.replaced == 1
    group.end()
    assert groups.run(90) == expected(90, 4)
    assert groups.pool.replaced == 2
    assert len(machines.staffs) == 2 + 1 + 2
    groups.pool.close()
    assert all(actor.dead for staff in machines.staffs for actor in staff.actors)


def test_a_killed_worker_is_replaced_by_its_supervisor_and_a_killed_supervisor_by_the_coordinator(machines, caplog):
    machines.seconds = 0.005
    tree = Coordinator(Supervised(machines, 3))

    def run(units, victim=None):
        turns = itertools.count()
        kill = (lambda: next(turns) == 4 and victim().end()) if victim else (lambda: None)
        assert tree.run(units, kill) == expected(units, tree.steps)

    run(200, lambda: machines.staffs[0].actors[0])
    while tree.pool.replaced < 1 or any(supervisor.workers < 3 for supervisor in tree.pool.ready):
        run(50)
    run(200, lambda: tree.pool.ready[1].actor)
    run(50)
    assert "a worker died below the supervisor on machine 01234567; its supervisor starts another" in caplog.text
    assert len(machines.staffs) == 3  # one more supervisor
    assert "a supervisor of 3 workers died; starting another" in caplog.text
    tree.pool.close()


def test_what_a_unit_does_to_workers_of_a_machine_is_told_by_the_coordinator(machines):
    machines.wrong = {11}
    tree = Coordinator(Supervised(machines, 3))
    with pytest.raises(UnitError) as caught:
        tree.run(12)
    assert "raised ValueError: too large" in caught.value.what
    machines.wrong, machines.deadly = set(), {0}
    tree = Coordinator(Supervised(machines, 3))
    with pytest.raises(UnitError) as caught:
        tree.run(1)
    assert (caught.value.unit, caught.value.what.split(";")[0]) == (0, f"killed {DEATHS_PER_UNIT} workers in a row")


def test_what_is_late_at_one_machine_is_computed_by_another(machines, monkeypatch):
    monkeypatch.setattr("es_randomized.distributed.work.PATIENT", 0.05)
    tree = Coordinator(Supervised(machines, 3))
    assert tree.run(40) == expected(40, 1)
    frozen = tree.pool.ready[0]
    for actor in frozen.actor.owns.actors:
        actor.target.turn.acquire()  # computes nothing from now on
    assert tree.run(40) == expected(40, 2)
    for actor in frozen.actor.owns.actors:
        actor.target.turn.release()
    assert tree.run(40) == expected(40, 3)  # and answers to the last step do no harm
    tree.pool.close()
