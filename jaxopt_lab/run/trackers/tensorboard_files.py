"""TensorBoard's event files, by tensorboardX's records and summaries.

Its `SummaryWriter` is left out: it has a process's queue and a thread of its own, and no flush of
what waits there. Here each call is on the disk when it returns.
"""

import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from jaxopt_lab.run.trackers.tracker import Parameters, Picture, Row, Tracker, plain_name

BINS = 64


class TensorBoard(Tracker):
    """Event files in one folder: scalars, histograms, pictures and hyperparameters.

    How it rewinds: each file begins with the mark of a session's start, and that of a run that goes
    on is the sign for TensorBoard to drop what it has read of steps past the checkpoint.
    """

    shows = True

    def __init__(self, folder: pathlib.Path, parameters: Parameters, *, start: int = 0):
        """Begin a new event file of a run that stands at step `start`."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2
        from tensorboardX.summary import hparams

        # Their classes are made when they are imported, so that no type checker knows them.
        events, summaries = cast(Any, event_pb2), cast(Any, summary_pb2)
        self._event, self._summary = events.Event, summaries.Summary
        self._metadata = summaries.SummaryMetadata
        folder.mkdir(parents=True, exist_ok=True)
        before = len(list(folder.glob("*.tfevents.*")))
        # Names begin with the second, and are read in order.
        self._writer = EventsWriter(os.fspath(folder / "events"), f".{before:06d}")
        # At the first one nothing is dropped, and at a later one only where there was a first.
        begins = events.SessionLog(status=events.SessionLog.START)
        self._write(start + 1 if before else 0, session_log=begins)
        # What there is to tell of all runs together TensorBoard finds by itself.
        _, begun, self._ends = hparams(dict(parameters), {})
        if not before:
            self._write(0, summary=begun)
        self._writer.flush()

    def rows(self, rows: Sequence[Row]) -> None:
        for step, values in rows:
            scalars = [
                self._summary.Value(tag=plain_name(name), simple_value=value)
                for name, value in values.items()
            ]
            self._write(step, summary=self._summary(value=scalars))
        self._writer.flush()

    def scores(self, values: dict[str, float], step: int) -> None:
        self.rows([(step, values)])

    def histograms(self, values: Mapping[str, np.ndarray], step: int) -> None:
        from tensorboardX.summary import histogram_raw

        for name, found in values.items():
            finite = np.float64(found[np.isfinite(found)])
            if not len(finite):
                continue
            counts, edges = np.histogram(finite, BINS)
            moments = (finite.min(), finite.max(), len(finite), finite.sum(), (finite**2).sum())
            limits = (edges[1:].tolist(), counts.tolist())
            summary = histogram_raw(f"parameters/{plain_name(name)}", *moments, *limits)
            self._write(step, summary=summary)
        self._writer.flush()

    def pictures(self, pictures: Sequence[Picture], step: int) -> None:
        for i, (png, (height, width), text) in enumerate(pictures, start=1):
            image = self._summary.Image(height=height, width=width, encoded_image_string=png)
            told = self._metadata(display_name=f"{i}: {text}", summary_description=text)
            value = self._summary.Value(tag=f"worst/{i:02d}", image=image, metadata=told)
            self._write(step, summary=self._summary(value=[value]))
        self._writer.flush()

    def end(self, stopped_by: str) -> None:
        del stopped_by
        self._write(0, summary=self._ends)
        self._writer.close()

    def _write(self, step: int, **what: Any) -> None:
        self._writer.write_event(self._event(wall_time=time.time(), step=step, **what))
