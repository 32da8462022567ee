"""Errors a user can act on: each says what was expected, what came and what to do."""


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
