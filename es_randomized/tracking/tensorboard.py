"""TensorBoard: an event file in the run folder, so that `tensorboard --logdir runs` shows every run.

The file is written anew from the metrics whenever training begins or goes on: there is one per run, without the generations
that a crash took back, and a run fetched from elsewhere has its past.

It is written by the library's EventsWriter and not by its SummaryWriter, which hands events to a thread: a full disk ends that
thread in silence, and training then waits for it.
"""

import time

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import MetricsRow, read_metrics
from es_randomized.tracking.tracker import Tracker, named

MOST_PAST = 1000  # rows of the past that are written; TensorBoard shows as many


class TensorBoard(Tracker):
    """A tracker that writes an event file into `folder`."""

    def __init__(self, folder: RunFolder) -> None:
        old_files = sorted(folder.path.glob("events.out.tfevents.*"))
        self._writer = EventsWriter(str(folder.path / "events"), f".{time.time_ns()}")
        # Whoever watches forgets the points of the old file.
        self._add(Event(step=0, session_log=SessionLog(status=SessionLog.START)))
        past = read_metrics(folder.metrics).to_pylist()
        for row in thinned(past):
            ago = past[-1]["seconds"] - row["seconds"]
            self._write(row["generation"], row, time.time() - ago)
        for path in old_files:
            path.unlink()
        self._writer.flush()

    def log(self, generation: int, row: MetricsRow) -> None:
        self._write(generation, row, time.time())
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _write(self, generation: int, row: MetricsRow, when: float) -> None:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in named(row).items()]
        self._add(Event(wall_time=when, step=generation, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        self._writer.write_event(event)


def thinned(rows: list[MetricsRow]) -> list[MetricsRow]:
    """At most so many rows, evenly spaced, and all that have a check of the centre."""
    kept = set(np.linspace(0, len(rows) - 1, MOST_PAST).round().astype(int).tolist()) if rows else set()
    return [row for index, row in enumerate(rows) if index in kept or row["held_out_average"] is not None]
