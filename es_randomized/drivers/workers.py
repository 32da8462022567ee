"""What an evaluator says of its workers, for those who watch a run. No bit of a run depends on it."""

from typing import NamedTuple


class WorkerStatus(NamedTuple):
    """One worker, or all workers of a machine with a supervisor, now or when it went; counts and sums are since it joined.

    Attributes:
        number: in the order of joining, from 0; a number is never used again.
        node: id of its machine.
        pid: of its process.
        device: kind of its accelerator or processor.
        joined: when, in seconds of the monotonic clock.
        under_way: units it was asked for and has not brought back.
        since: when it was asked for the oldest of them; None if there are none.
        units: brought back.
        busy: seconds of computing them, as it says itself; of all its workers together.
        waited: seconds between its last answer in a step and the end of the step, which others decided.
        late: units that were given to somebody else as well because it took so long.
        gone: when it went; None while it is there.
        lost: whether it died or was given up, with what it had under way, instead of leaving.
        workers: how many compute: 1, or those of a supervisor.
    """

    number: int
    node: str
    pid: int
    device: str
    joined: float
    under_way: int = 0
    since: float | None = None
    units: int = 0
    busy: float = 0.0
    waited: float = 0.0
    late: int = 0
    gone: float | None = None
    lost: bool = False
    workers: int = 1

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"machine {self.node[:8]}, pid {self.pid}, {self.device}"
