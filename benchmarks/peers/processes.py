"""Run a peer as a process and watch the memory of it and all its children from outside."""

import json
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.peers.environments import UnavailableError
from benchmarks.peers.shared.protocol import Config, Report

FOLDER = Path(__file__).parent
SHARE = 0.02  # of a core, at most, for looking at memory
QUICKEST = 0.1  # seconds between two looks, at least
LONGEST = 900.0  # seconds a peer may take


class Watched(NamedTuple):
    """A peer's report and what was seen from outside."""

    report: Report
    peak_bytes: int


def run_peer(python: Path, peer: str, config: Config, flags: str = "") -> Watched:
    """One run of a peer.

    Args:
        flags: XLA's.

    Raises:
        UnavailableError: it ended with an error or took too long; the message has its last line.
    """
    paths = [str(FOLDER / "shared"), str(FOLDER.parents[1])]
    command = [str(python), str(FOLDER / peer / "run.py")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= {"XLA_FLAGS": flags} if flags else {}
    cache = str(Path(config.found).with_name("cache"))  # so that nobody meets programs compiled before this benchmark
    environment |= {"XDG_CACHE_HOME": cache, "TORCHINDUCTOR_CACHE_DIR": cache}
    peaks: list[int] = [0]
    with tempfile.TemporaryFile("w+") as errors:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
        process = subprocess.Popen(command, text=True, env=environment, start_new_session=True, **pipes)
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
        watcher.start()
        try:
            output, _ = process.communicate(json.dumps(asdict(config)), timeout=LONGEST)
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"it took more than {LONGEST:.0f} s") from None
        finally:
            _end(process.pid)
            process.wait()
            watcher.join()
        if process.returncode:
            errors.seek(0)
            lines = [line.strip() for line in errors if line.strip()]
            raise UnavailableError(f"it ended with code {process.returncode}: {lines[-1] if lines else 'no message'}")
        return Watched(Report(**json.loads(output)), peaks[0])


def tree_bytes(pid: int) -> int:
    """Memory of a process and its children: proportional set sizes, so that what they share counts once."""
    try:
        tree = [psutil.Process(pid)]
        tree += tree[0].children(recursive=True)
    except psutil.Error:
        return 0
    return sum(_bytes(each) for each in tree)


def _bytes(process: Any) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _watch(pid: int, peaks: list[int]) -> None:
    while psutil.pid_exists(pid):
        began = time.perf_counter()
        seen = tree_bytes(pid)
        if not seen:
            return
        peaks[0] = max(peaks[0], seen)
        time.sleep(max(QUICKEST, (time.perf_counter() - began) / SHARE))


def _end(pid: int) -> None:
    """End what a peer may have left behind: its children, if it still has any."""
    try:
        tree = psutil.Process(pid).children(recursive=True)
        tree.append(psutil.Process(pid))
    except psutil.Error:
        return
    for each in tree:
        if each.pid != pid or each.status() != psutil.STATUS_ZOMBIE:
            try:
                each.kill()
            except psutil.Error:
                continue
