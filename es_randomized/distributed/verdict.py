"""What is wrong with which machine of a cluster: judged by what all of them say of themselves."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from es_randomized.distributed.compatibility import check_compatible
from es_randomized.distributed.probe import Seen
from es_randomized.errors import ClusterError

SLOW = 2.0  # times as long as most machines take for a chunk
SLOW_LINK = 10.0  # times as long as most messages
NOTHING = 5.0  # ms that both may take longer without a word


@dataclass
class Machine:
    """A machine that takes workers.

    Attributes:
        node: Ray's id.
        address: of its network.
        room: accelerators, or else cores, that Ray counts there.
        seen: what it says of itself; None where it does not answer.
        milliseconds: of a small message there and back.
        rate: MB a second, both ways together.
        faults: what is wrong and what to do.
    """

    node: str
    address: str
    room: int
    seen: Seen | None = None
    milliseconds: float = 0.0
    rate: float = 0.0
    faults: list[str] = field(default_factory=list)


def judge(machines: Sequence[Machine], versions: Mapping[str, str | None], mixed: bool) -> None:
    """Note the faults of machines that answered.

    Args:
        versions: of the coordinator's packages, as far as they decide about bits.
        mixed: whether several kinds of device may work together.
    """
    answers = [(machine, machine.seen) for machine in machines if machine.seen]
    if not answers:
        return
    usual = Counter(seen.info.device for _, seen in answers).most_common(1)[0][0]
    example = next(seen.info for _, seen in answers if seen.info.device == usual)
    for machine, seen in answers:
        try:
            check_compatible(seen.info, [example], versions, mixed)
        except ClusterError as error:
            machine.faults.append(str(error))
        if seen.devices != machine.room:
            machine.faults.append(
                f"JAX finds {seen.devices} of its {machine.room} devices; see what its driver says (nvidia-smi, tpu-info), or "
                "start the machine again"
            )
        _judge_bits(machine, seen, [other for _, other in answers if other.info.device == seen.info.device])
    _judge_speed(answers)


def _judge_bits(machine: Machine, seen: Seen, alike: Sequence[Seen]) -> None:
    digest = Counter(each for other in alike for each in other.digests).most_common(1)[0][0]
    wrong = [str(index) for index, each in enumerate(seen.digests) if each != digest]
    if wrong:
        machine.faults.append(
            f"its device {', '.join(wrong)} computes other losses than most devices of its kind: one of them is broken, or "
            "another version of a driver is installed; leave this machine out"
        )


def _judge_speed(answers: Sequence[tuple[Machine, Seen]]) -> None:
    for machine, seen in answers:
        alike = [other.warm for _, other in answers if other.info.device == seen.info.device]
        usual = statistics.median_low(alike)
        if seen.warm > max(SLOW * usual, usual + NOTHING / 1e3):
            machine.faults.append(
                f"a chunk takes {1e3 * seen.warm:,.1f} ms, {seen.warm / usual:.1f} times as long as on most: is somebody else "
                "computing there, or is it throttled?"
            )
        link = statistics.median_low([other.milliseconds for other, _ in answers])
        if machine.milliseconds > max(SLOW_LINK * link, NOTHING):
            machine.faults.append(
                f"a message takes {machine.milliseconds:,.1f} ms, {machine.milliseconds / link:.0f} times as long as to most: "
                "is it in another zone?"
            )
