"""Where an update is computed: in one place, or in parts by the workers. The bits are the same, so a run may change its mind."""

from es_randomized.strategies.strategy import Strategy

ENTRIES_PER_SECOND = 2e7  # of normal noise drawn and added up on one CPU core, measured
MESSAGES = 3e-3  # seconds of a round of messages, and
BYTES_PER_SECOND = 1e9  # of results on their way


def seconds_here(strategy: Strategy) -> float:
    """Estimated seconds of an update by the coordinator alone."""
    return strategy.update_entries / ENTRIES_PER_SECOND


def seconds_there(strategy: Strategy, workers: int) -> float:
    """Estimated seconds of an update by so many workers."""
    return seconds_here(strategy) / workers + MESSAGES + strategy.update_bytes / BYTES_PER_SECOND


def updates_here(strategy: Strategy, workers: int) -> bool:
    """Whether the coordinator is at least as fast alone."""
    return not strategy.parts or workers == 0 or seconds_here(strategy) <= seconds_there(strategy, workers)


def explained(strategy: Strategy) -> str:
    """The choice in words, for `show`."""
    if not strategy.parts:
        return "by the coordinator: this algorithm holds its population as a matrix"
    alone = seconds_here(strategy)
    few = next((workers for workers in range(1, 10_001) if not updates_here(strategy, workers)), None)
    if few is None:
        return f"by the coordinator: about {1e3 * alone:,.1f} ms, less than a round of messages"
    return (
        f"{strategy.parts} parts, columns of the parameters, by the workers from {few} workers on "
        f"(coordinator alone: about {alone:,.2f} s)"
    )
