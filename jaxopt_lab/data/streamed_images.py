"""Encoded images that are decoded when they are indexed: for more of them than memory holds."""

import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import OfMachine, Range
from jaxopt_lab.data.images import Form, Unreadable, pixels_of
from jaxopt_lab.data.many_images import several_sizes

Workers = Annotated[Annotated[int, Range(0, 256)] | Literal["auto"], OfMachine()]
"""Processes that decode ahead of the device; 0 for a thread of this one, "auto" by the cores."""

_MOST = 16  # workers of "auto": beyond them the disk or the copies between processes are the limit

# Bytes of an image from which on decoding holds Python's lock for a small part of the time only.
# Two threads decode JPEGs of 64 x 64 pixels more slowly than one.
_LARGE = 48 << 10


class StreamedImages:
    """A source of (H, W, C) uint8 images, read by row number and decoded anew each time."""

    def __init__(self, root: Path, names: Sequence[str], form: Form, workers: Any, where: str):
        """Point at images.

        Args:
          root: the folder that they lie in.
          names: their paths below it.
          form: what they become, its size that of the first where it is None.
          workers: as of `Workers`.
          where: is named in what is wrong.

        Raises:
          InputError: where the first cannot be decoded.
        """
        self.root, self.names, self.where = str(root), tuple(names), where
        self.form = form
        self._file = ""  # that holds the names, of one that is lent
        self.workers = min(_MOST, usable_cores()) if workers == "auto" else int(workers)
        self.dtype = np.dtype(np.uint8)
        _hush()
        self.shape = (len(self.names), *self._decoded(0).shape)

    def lent(self, folder: str) -> "StreamedImages":
        """As of `core.ahead.Lent`."""
        path = os.path.join(folder, "names.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.names, file)
        other = object.__new__(StreamedImages)
        other.__dict__.update(self.__dict__, names=(), _file=path)
        return other

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with open(self._file, encoding="utf-8") as file:
            self.names = tuple(json.load(file))
        _hush()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The images of row numbers of any shape, (..., H, W, C).

        Raises:
          InputError: naming the file that cannot be decoded, or is of another size.
        """
        rows = np.asarray(rows)
        images = np.empty((rows.size, *self.shape[1:]), np.uint8)

        def decode(place: int, row: int) -> None:
            pixels = self._decoded(row)
            if pixels.shape != self.shape[1:]:
                first, other = self.names[0], self.names[row]
                raise several_sizes(self.where, first, self.shape[1:], other, pixels.shape)
            images[place] = pixels

        numbers = rows.reshape(-1).tolist()
        if images[:1].nbytes < _LARGE or len(numbers) == 1:
            for place, row in enumerate(numbers):
                decode(place, row)
        else:
            with ThreadPoolExecutor(min(8, usable_cores())) as pool:
                list(pool.map(decode, range(len(numbers)), numbers))
        return images.reshape(*rows.shape, *self.shape[1:])

    def _decoded(self, row: int) -> np.ndarray:
        try:
            return pixels_of(os.path.join(self.root, self.names[row]), self.form)
        except Unreadable as error:
            raise InputError(
                f"{self.where}: {self.names[row]} in {self.root} cannot be read ({error}): mend it "
                "and go on from the last checkpoint"
            ) from None


def _hush() -> None:
    """Keep Pillow's warnings from the user; not by `pillow`, which works in one thread only."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
