"""Ctrl-C and the signals of batch systems: what they are told, and the exit status, 128 + signal as shells have it.

The first one is acknowledged in one line and lets the command save and clean up; the second one ends everything at once, also
while the main thread computes in compiled code, where Python's own handlers have to wait. What Python raises for a signal inside
code that cannot raise, a finalizer or a callback of its garbage collector, would be lost: it is raised again.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

import psutil

GENTLE = (signal.SIGINT, signal.SIGTERM)  # the session saves on these, see stopping_gently
WATCHED = (*GENTLE, signal.SIGHUP) if hasattr(signal, "SIGHUP") else GENTLE
STOPPING = b"\nstopping; Ctrl-C again ends at once\n"
SHOW_CURSOR = b"\x1b[?25h"  # a live view hides it
LOST = b"\0"  # to the watcher: what was raised for the first signal was lost
MOMENT = 0.05  # seconds until code that cannot raise is left


def exit_status(number: int) -> int:
    """Of a command that a signal ended."""
    return 128 + number


@contextmanager
def watched() -> Iterator[list[int]]:
    """The signals that came to this process so far; a second one ends it and all it started.

    Does nothing outside the main thread, where signals are somebody else's business.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    watcher = threading.Thread(target=_watch, args=(reading, received), daemon=True)
    report = sys.unraisablehook

    def lost(unraisable: "sys.UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit):
            os.write(writing, LOST)
        else:
            report(unraisable)

    with ExitStack() as restored:
        restored.callback(watcher.join, 1.0)  # a forked child may hold the other end
        restored.callback(os.close, writing)  # which ends the watcher
        restored.callback(setattr, sys, "unraisablehook", report)
        sys.unraisablehook = lost
        restored.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writing, warn_on_full_buffer=False))
        for number in WATCHED:
            if number != signal.SIGINT and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
                restored.callback(signal.signal, number, signal.signal(number, _raise))
        watcher.start()
        yield received


def _raise(number: int, _: FrameType | None) -> None:
    sys.exit(exit_status(number))


def _watch(reading: int, received: list[int]) -> None:
    """Runs in a thread: Python writes the number of every signal to the pipe in the moment it comes."""
    again = False
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while number := pipe.read(1):
            if number == LOST and received:
                again = True
                time.sleep(MOMENT)
                signal.pthread_kill(threading.main_thread().ident or 0, received[0])
            elif number[0] in WATCHED and again:
                again = False
            elif number[0] in WATCHED:
                received.append(number[0])
                if len(received) > 1:
                    _end_at_once(received[0])
                _say(STOPPING)


def _say(text: bytes) -> None:
    with suppress(OSError):
        os.write(2, text)


def _end_at_once(number: int) -> None:
    if os.isatty(2):
        _say(SHOW_CURSOR)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    os._exit(exit_status(number))
