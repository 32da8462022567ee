"""Errors in code of the user's own, a task or a callback: their traceback without the frames of this package and of libraries."""

import sysconfig
import traceback
from pathlib import Path

import es_randomized

FOREIGN = (
    str(Path(es_randomized.__file__).parent),
    *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
)


def own_traceback(error: BaseException) -> str | None:
    """Where in the user's files an error was raised, for people; None where it was not raised there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    if not frames:
        return None
    return "".join((*traceback.format_list(frames), *traceback.format_exception_only(error))).rstrip()


def _is_own(file: str) -> bool:
    return not file.startswith(("<", *FOREIGN))
