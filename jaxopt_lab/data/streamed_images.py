"""Encoded images that are decoded when they are indexed: for more of them than memory holds."""

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np

from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.ranges import OfMachine, Range
from jaxopt_lab.core.rows import Rows
from jaxopt_lab.data.images import Form, Unreadable, pixels_of
from jaxopt_lab.data.many_images import form_of, several_sizes, undecodable

Workers = Annotated[Annotated[int, Range(0, 256)] | Literal["auto"], OfMachine()]
"""Processes that decode ahead of the device; 0 for a thread of this one, "auto" by the cores."""

_MOST = 16  # workers of "auto": beyond them the disk or the copies between processes are the limit

# Bytes of an image from which on decoding holds Python's lock for a small part of the time only.
# Two threads decode JPEGs of 64 x 64 pixels more slowly than one.
_LARGE = 48 << 10


class Encoded(Protocol):
    """Encoded images by row number, which other processes can open too.

    Attributes:
      root: where they lie, in words.
    """

    root: str

    def __len__(self) -> int: ...

    def name(self, row: int) -> str:
        """What an image is called in what is wrong with it."""
        ...

    def open(self, row: int) -> Any:
        """Its path, or a stream of its bytes."""
        ...

    def lent(self, folder: str) -> "Encoded":
        """As of `core.ahead.Lent`."""
        ...


class ImageFiles:
    """Files in a folder."""

    def __init__(self, root: Path, names: Sequence[str]):
        """Point at files by their paths below `root`."""
        self.root: str = str(root)
        self.names: tuple[str, ...] = tuple(names)
        self._file = ""  # that holds the names, of one that is lent

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        return self.names[row]

    def open(self, row: int) -> str:
        return os.path.join(self.root, self.names[row])

    def lent(self, folder: str) -> "ImageFiles":
        path = os.path.join(folder, "names.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.names, file)
        other = ImageFiles(Path(self.root), ())
        other._file = path
        return other

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with open(self._file, encoding="utf-8") as file:
            self.names = tuple(json.load(file))


class StreamedImages:
    """A source of (H, W, C) uint8 images, read by row number and decoded anew each time."""

    def __init__(self, images: Encoded, form: Form, workers: Any, where: str):
        """Point at images.

        Args:
          images: encoded.
          form: what they become, its size that of the first where it is None.
          workers: as of `Workers`.
          where: is named in what is wrong.

        Raises:
          InputError: where the first cannot be decoded.
        """
        self.images = images
        self.form = form
        self.where = where
        self.workers: int = min(_MOST, usable_cores()) if workers == "auto" else int(workers)
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        _hush()
        self.shape: tuple[int, ...] = (len(images), *self._decoded(0).shape)

    def lent(self, folder: str) -> "StreamedImages":
        """As of `core.ahead.Lent`."""
        other = object.__new__(StreamedImages)
        other.__dict__.update(self.__dict__, images=self.images.lent(folder))
        return other

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _hush()

    def __len__(self) -> int:
        return self.shape[0]

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
                first, other = self.images.name(0), self.images.name(row)
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
            return pixels_of(self.images.open(row), self.form)
        except Unreadable as error:
            raise InputError(
                f"{self.where}: {self.images.name(row)} in {self.images.root} cannot be read "
                f"({error}): mend it and go on from the last checkpoint"
            ) from None


def stream_images(
    files: Mapping[str, Any],
    of: Callable[[Sequence[str]], Encoded],
    workers: Any,
    *,
    source: str,
    **how: Any,
) -> tuple[Rows, dict[str, str]]:
    """Images as rows that are decoded when they are read; within `images.pillow()`.

    Args:
      files: as of `read_images`.
      of: makes encoded images of the names of those that can be read.
      workers: as of `Workers`.
      source: is named in what is wrong.
      how: `size`, `channels`, `resize` and `skip` as of `read_images`.

    Returns:
      (n, H, W, C) rows of those that can be read in their order, and why the others cannot.

    Raises:
      InputError: some that cannot be read, or workers without Grain.
    """
    if workers != 0:
        require("grain", "grain")
    form, faults = form_of(files, source=source, **how)
    if how["skip"]:
        faults |= undecodable({k: v for k, v in files.items() if k not in faults}, form)
    names = [name for name in files if name not in faults]
    if not names:
        return Rows(np.zeros((0, 0, 0, form.channels), np.uint8)), faults
    return Rows(StreamedImages(of(names), form, workers, source)), faults


def _hush() -> None:
    """Keep Pillow's warnings from the user; not by `pillow`, which works in one thread only."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
