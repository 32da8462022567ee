"""How fast a core is while its neighbours compute too: cores of one machine share caches, memory and often more.

No coordinator can make several workers of a machine more efficient than this, and the simulator is told it.
"""

from es_randomized.distributed.messages import Argument, Step, call_all
from es_randomized.scaling.instrument import InstrumentedEvaluator


def crowded_speed(evaluator: InstrumentedEvaluator, workers: int, seconds: float) -> float:
    """Speed of a worker while others compute, against its speed alone: 1 if they share nothing.

    Args:
        workers: that compute at once, each on the same chunks in one call, so that nobody coordinates; the first ones.
        seconds: of computing in each of the two calls, about.
    """
    chunks = list(range(len(evaluator.evolution.chunks)))
    once = seconds_of_a_chunk(evaluator, 1, chunks)
    units = chunks * max(1, round(seconds / (once * len(chunks))))
    return seconds_of_a_chunk(evaluator, 1, units) / seconds_of_a_chunk(evaluator, workers, units)


def seconds_of_a_chunk(evaluator: InstrumentedEvaluator, workers: int, units: list[int]) -> float:
    """What one of the given chunks takes, on average over workers that have all of them at once."""
    evolution = evaluator.evolution
    message = evolution.message(evolution.strategy.ask(evolution.init(), 0))
    shared = Argument.of(message, sum(array.nbytes for array in message))
    actors = [worker.actor for worker in evaluator.everyone[:workers]]
    answers = call_all(actors, Step.of(0, "evaluate", 0, (shared,)), units)
    return sum(answer.seconds for answer in answers) / (workers * len(units))
