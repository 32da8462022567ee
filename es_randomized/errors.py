"""Errors a user can act on: each says what was expected, what came and what to do."""

from difflib import get_close_matches


class UserError(Exception):
    """A mistake or a circumstance the user can mend; the command line prints it without a traceback."""


class ConfigError(UserError):
    """A configuration that cannot be run as written."""


class MemoryBudgetError(UserError):
    """Nothing fits the stated memory budget; the message holds the numbers."""


class RunFolderError(UserError):
    """A run folder that is missing, damaged, in use or of another experiment."""


class StorageError(UserError):
    """A file could not be written, for example because the disk is full."""


class NonFiniteLossError(UserError):
    """Losses that are NaN or infinite, with the address that reproduces them."""


class ClusterError(UserError):
    """The Ray cluster could not be started, reached or kept alive."""


class WorkerError(UserError):
    """Code of a task, model or objective raised on a worker; the cause is chained."""


def suggest(name: str, known: list[str], otherwise: str = "") -> str:
    """What a message about an unknown name should say: the nearest known one, or all of them, and what else it may be."""
    near = get_close_matches(name, known, 1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}{otherwise}"


def shown(value: object) -> str:
    """A value with its type, for messages."""
    return f"{value!r} ({type(value).__name__})"
