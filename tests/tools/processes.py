"""Look at processes that may end while one looks."""

from contextlib import suppress

import psutil


def below(pid: int, name: str = "") -> list[psutil.Process]:
    """Living processes below another, to any depth, whose command says a name."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if name in " ".join(process.cmdline()):
                    found.append(process)
    return found


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, also where nobody has asked for its status yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
