"""The supervisor of a machine, or of a group of them: it computes nothing, and hands out what it is asked for.

It shares the fate of its machine. Ray ends whatever it started with it; who asked gives what it had to others, and starts
another supervisor if the machine is still there.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread

from ray import ObjectRef

from es_randomized.distributed.events import CallCollected, Event, WorkerJoined
from es_randomized.distributed.hub import Hub
from es_randomized.distributed.inbox import Inbox
from es_randomized.distributed.messages import Step, packed_answer, passed_on
from es_randomized.distributed.orders import Order, Orders
from es_randomized.distributed.pool import Pool
from es_randomized.distributed.staff import Place, Staff, this_machine
from es_randomized.distributed.work import Work
from es_randomized.distributed.worker import WorkerInfo

CALLS = 32  # that can wait for answers at once: `CALLS_PER_SUPERVISOR` of this step, and some of steps that are over


class Asked(Order):
    """An order of a step.

    Attributes:
        answer: when as many units are there.
    """

    def __init__(self, step: Step, units: list[int], expected: int) -> None:
        super().__init__(units, expected)
        self.step, self.answer = step, Future[bytes]()


class Supervisor:
    """An actor; a thread of its own hands out, and calls wait for it.

    Args:
        place: that it looks after.
        staff: whom it hands out to, there.
        devices: of a worker.
        versions: see `Pool`.
        mixed: see `Pool`.
    """

    def __init__(
        self,
        place: Place,
        staff: Callable[[Place], Staff],
        devices: int,
        versions: Mapping[str, str | None],
        mixed: bool,
    ) -> None:
        self._inbox = Inbox()
        self._pool = Pool(staff(place), self._inbox, versions, mixed, self._hear)
        self._hub = Hub(self._pool, self._inbox, devices, self._hear)
        self._first = Future[WorkerInfo]()
        self._step = Step(0, "", 0, b"")
        self._work = Work(0)
        self._orders = Orders[Asked](self._work)
        self._seconds: dict[int, float] = {}  # of computing, by unit of the step

    def ready(self) -> WorkerInfo:
        """What the first worker says of itself, when it is ready; machine and process are of this one."""
        Thread(target=self._serve, daemon=True).start()
        return self._first.result()._replace(node=this_machine(), pid=os.getpid())

    def call(self, packed: bytes, references: tuple[ObjectRef, ...]) -> bytes:
        """See `messages.pass_on`."""
        order = Asked(*passed_on(packed, references))
        self._inbox.put(order)
        return order.answer.result()

    def _serve(self) -> None:
        try:
            self._pool.fill()
            while True:
                for order in self._hub.turn(self._work, self._step):
                    assert isinstance(order, Asked)
                    self._accept(order)
                self._answer()
        except Exception as error:  # whoever waits must hear of it
            self._fail(error)

    def _accept(self, order: Asked) -> None:
        if order.step.number > self._step.number:
            self._hub.end(self._work, self._step)
            for late in self._orders.left():
                late.answer.set_result(self._packed([]))
            self._step, self._work = order.step, self._hub.work(0, order.step)
            self._orders, self._seconds = Orders(self._work), {}
        if order.step.number < self._step.number:
            order.answer.set_result(self._packed([]))
        else:
            self._orders.add(order)

    def _answer(self) -> None:
        for order, units in self._orders.ready():
            order.answer.set_result(self._packed(units))

    def _packed(self, units: list[int]) -> bytes:
        results = [self._work.results[unit] for unit in units]
        seconds = sum((self._seconds.get(unit, 0.0) for unit in units), 0.0)
        return packed_answer(results, seconds, max(1, self._pool.takers.crew.workers), self._pool.replaced, units)

    def _hear(self, event: Event) -> None:
        match event:
            case CallCollected(_, call, seconds, _, _) if call.step == self._step.number:
                for unit in call.units:
                    self._seconds[unit] = seconds / len(call.units)
            case WorkerJoined(_, info) if not self._first.done():
                self._first.set_result(info)

    def _fail(self, error: Exception) -> None:
        if not self._first.done():
            self._first.set_exception(error)
        for order in self._orders.left():
            order.answer.set_exception(error)
        while True:
            for message in self._inbox.take(60.0):
                if isinstance(message, Asked):
                    message.answer.set_exception(error)
