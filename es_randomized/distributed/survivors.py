"""End what a killed command would leave behind: agents of a local Ray wait for ever for servers that died with it.

Run as a program of its own, it waits until its input ends, which is when the command does, however it does.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def ended_with_this_process(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """See that these processes are gone when the block ends or this process dies."""
    named = [f"{process.pid}:{process.create_time()}" for process in processes]
    command = [sys.executable, "-P", __file__, *named]
    nowhere = subprocess.DEVNULL
    # In a session of its own it survives what ends a whole terminal.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    ) as watcher:
        try:
            yield
        finally:
            assert watcher.stdin is not None
            watcher.stdin.close()


def end(named: list[str]) -> None:
    """Kill those of the named processes that are still there; a number may be another process's by now."""
    for name in named:
        number, began = name.split(":")
        with suppress(psutil.Error):
            process = psutil.Process(int(number))
            if process.create_time() == float(began):
                process.kill()


if __name__ == "__main__":
    sys.stdin.read()
    end(sys.argv[1:])
