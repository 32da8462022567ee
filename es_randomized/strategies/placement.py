"""Where an update is computed: in one place, or in parts by the workers. The bits are the same, so a run may change its mind."""

from es_randomized.strategies.strategy import Parts

ENTRIES_PER_SECOND = 1e8  # of normal noise drawn and added up on one CPU core, measured
MESSAGES = 3e-3  # seconds of a round of messages, and
BYTES_PER_SECOND = 1e9  # of results on their way


def seconds_here(parts: Parts) -> float:
    """Estimated seconds of an update by the coordinator alone."""
    return parts.entries / ENTRIES_PER_SECOND


def seconds_there(parts: Parts, workers: int) -> float:
    """Estimated seconds of an update by so many workers."""
    return seconds_here(parts) / min(workers, parts.count) + _overhead(parts)


def updates_here(parts: Parts, workers: int) -> bool:
    """Whether the coordinator is at least as fast alone."""
    return workers == 0 or seconds_here(parts) <= seconds_there(parts, workers)


def explained(parts: Parts | None) -> str:
    """The choice in words, for `show`."""
    if parts is None:
        return "by the coordinator: this algorithm holds its population as a matrix"
    alone = seconds_here(parts)
    few = next((workers for workers in range(1, parts.count + 1) if not updates_here(parts, workers)), None)
    if few is None:
        return f"by the coordinator: about {1e3 * alone:,.1f} ms, no more than by messages to workers"
    what = (
        "columns of the parameters" if parts.down == 1 else f"{parts.down} blocks of rows × {parts.across} of columns"
    )
    return (
        f"{parts.count} parts, {what}, by the workers from {few} workers on (coordinator alone: about {alone:,.2f} s)"
    )


def _overhead(parts: Parts) -> float:
    return MESSAGES + parts.bytes / BYTES_PER_SECOND
