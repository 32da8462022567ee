"""Where commands print: text as it is, so that [brackets] in names and messages are never taken for markup."""

from rich.console import Console


def console_of(stderr: bool = False) -> Console:
    """The console of a command; what is to be bold is a `Text` with a style."""
    return Console(stderr=stderr, markup=False)
