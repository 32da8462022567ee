"""Run trials in this process, one group after the other, without Ray."""

from contextlib import closing

from es_randomized.session import stopping_gently
from es_randomized.trials.queue import Queue
from es_randomized.trials.turns import take_turns


def run_here(queue: Queue) -> None:
    """Run what is left. The first Ctrl-C lets the trials in hand save and stop, a second one ends them at once."""
    with stopping_gently() as stop:
        while not stop and (assignments := queue.group()):
            with closing(take_turns(assignments)) as reports:
                for report in reports:
                    queue.take(report)
                    if stop:
                        break
