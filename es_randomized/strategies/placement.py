"""Whether the coordinator computes an update alone or workers compute its parts; the results have the same bits."""

from es_randomized.strategies.strategy import Parts

ENTRIES_PER_SECOND = 1e8  # of normal noise that one CPU core draws and adds up, measured
ROUND_SECONDS = 3e-3  # of one round of messages
BYTES_PER_SECOND = 1e9  # of results that come back


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
    enough = next((workers for workers in range(1, parts.count + 1) if not updates_here(parts, workers)), None)
    if enough is None:
        return f"by the coordinator: about {1e3 * alone:,.1f} ms, no more than by messages to workers"
    shape = (
        "columns of the parameters" if parts.down == 1 else f"{parts.down} blocks of rows × {parts.across} of columns"
    )
    return f"{parts.count} parts, {shape}, by the workers from {enough} workers on (coordinator alone: about {alone:,.2f} s)"


def _overhead(parts: Parts) -> float:
    return ROUND_SECONDS + parts.bytes / BYTES_PER_SECOND
