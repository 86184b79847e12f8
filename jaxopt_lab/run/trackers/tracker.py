"""What a tracker may take."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_lab.core.types import Logger

Row = tuple[int, dict[str, float]]
"""A step and what was measured at it."""

Parameters = Mapping[str, bool | int | float | str]
"""Hyperparameters by their dotted names."""


class Picture(NamedTuple):
    """A sample of the test split: its image as a PNG file, and what is to be said of it."""

    png: bytes
    shape: tuple[int, int]
    text: str


class Tracker:
    """A tracker that takes nothing; each kind takes what it has a place for.

    All of it is called from one thread, in order; it may fail and it may hang.

    Attributes:
      shows: whether it takes pictures, which are made for those alone that do.
    """

    shows = False

    def rows(self, rows: Sequence[Row]) -> None:
        """Take what was measured, in the order of steps."""

    def scores(self, values: dict[str, float], step: int) -> None:
        """Take the scores on the test split of what the run kept, at its last step."""

    def histograms(self, values: Mapping[str, np.ndarray], step: int) -> None:
        """Take parameters by their paths, at most `MOST_VALUES` of each."""

    def pictures(self, pictures: Sequence[Picture], step: int) -> None:
        """Take the samples that went worst."""

    def end(self, stopped_by: str) -> None:
        """The run is over: "finished", "early_stopping", "interrupted", "diverged" or "halved"."""


class Given(Tracker):
    """A logger of the user's own, anything with `.log(dict, step=)`, such as `wandb.init()` gives.

    How it rewinds: not at all. After a crash at step 212 a run that goes on from step 200 logs 201
    and on again, with the same numbers; W&B drops steps below the highest that it has seen.
    """

    def __init__(self, logger: Logger):
        self._logger = logger

    def rows(self, rows: Sequence[Row]) -> None:
        for step, values in rows:
            self._logger.log(values, step=step)

    def scores(self, values: dict[str, float], step: int) -> None:
        self._logger.log(values, step=step)


def after(rows: Iterable[Row], step: int) -> list[Row]:
    """The rows past a step."""
    return [row for row in rows if row[0] > step]


def plain_name(name: str) -> str:
    """A name that every tracker takes: letters, digits and _-./ alone, 250 of them at most."""
    return re.sub(r"[^\w\-./]", "_", name, flags=re.ASCII)[:250]
