"""A data set of Hugging Face's library, from the disk."""

import contextlib
import copy
import functools
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.ranges import FilePath, OfMachine, checked
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.data.arrays import dataset_of
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.fingerprint import fingerprint_of
from jaxopt_lab.data.images import Channels, Resize, Size, pillow
from jaxopt_lab.data.many_images import read_images, skipped
from jaxopt_lab.data.streamed_images import Workers, stream_images

_HELD_OUT = ("test", "validation", "valid", "val")
_OFFLINE = ("HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE")


@checked
def huggingface(
    path: FilePath | None = None,
    *,
    cached: str | None = None,
    configuration: str | None = None,
    x: str | Sequence[str] | None = None,
    y: str | None = None,
    train_split: str = "train",
    test_split: str | None = None,
    size: Size | None = None,
    channels: Channels | None = None,
    resize: Resize = "crop",
    unreadable: Literal["refuse", "skip"] = "refuse",
    weight: str | None = None,
    group: str | None = None,
    stream: Annotated[bool, OfMachine()] = False,
    workers: Workers = "auto",
) -> Dataset:
    """A data set of Hugging Face's `datasets`: saved on the disk, or in its cache; never fetched.

    Args:
      path: of a folder that `save_to_disk` wrote.
      cached: in place of `path`, the name of a data set that the library has fetched before.
      configuration: of `cached`, which of its configurations.
      x: the column of images or of arrays, or columns of numbers; None for the only column of
        images.
      y: the column to predict; None for the only column of class labels.
      train_split: the split to train on.
      test_split: the split to test on; None for "test" where there is one, or else for
        "validation", and without either one is drawn.
      size, channels, resize, unreadable: of images, as of `image_folder`.
      weight: a column of how much a sample counts, >= 0.
      group: a column whose equal values are kept in one split.
      stream, workers: of images, as of `image_folder`; they stay in the library's own files.

    Returns:
      A `Dataset`, whose classes are the names of the class labels; other targets go by their dtype,
      as of `npz`.

    Raises:
      InputError: no such data set, split or column, values that are missing or no data, or
        anything but images to stream.

    Reference:
      https://huggingface.co/docs/datasets.
    """
    if (path is None) == (cached is None):
        raise InputError("huggingface: give path, of a saved data set, or cached, a name; one")
    require("datasets", "huggingface")
    place = _Place(path, cached, configuration)
    where = place.where
    with _offline():
        splits = place.splits(train_split)
        _require(train_split, splits, "split", where)
        others = [name for name in _HELD_OUT if name in splits and name != train_split]
        held = test_split or next(iter(others), None)
        if held is not None:
            _require(held, splits, "split", where)
        features = splits[train_split].features
        inputs = [x] if isinstance(x, str) else list(x or [_only(features, "Image", "x", where)])
        target = y or _only(features, "ClassLabel", "y", where)
        for name in (*inputs, target, *filter(None, (weight, group))):
            _require(name, features, "column", where)
        notes: list[str] = []
        arrays: dict[str, np.ndarray] = {}
        for suffix, split in {"": train_split, "_test": held}.items():
            if split is None:
                continue
            rows = splits[split]
            kept = np.arange(len(rows))
            if _kind(features[inputs[0]]) == "Image":
                images = _Images(place, split, _one(inputs, where), rows)
                how = {"size": size, "channels": channels, "resize": resize}
                how |= {"skip": unreadable == "skip", "source": where}
                arrays[f"x{suffix}"], faults = (
                    images.streamed(workers, **how) if stream else images.read(**how)
                )
                kept = np.array([i for i in kept if images.name(i) not in faults], int)
                notes += [skipped(faults)] if faults else []
            elif stream:
                raise InputError(f"{where}: only images are streamed, {inputs[0]!r} holds none")
            else:
                arrays[f"x{suffix}"] = _stacked(rows, inputs, where)
            arrays[f"y{suffix}"] = _labels(rows, target, where)[kept]
            if weight is not None:
                arrays[f"weight{suffix}"] = _column(rows, weight, where)[kept]
            if group is not None and not suffix:
                arrays["group"] = _column(rows, group, where)[kept]
        if _kind(features[target]) == "ClassLabel":
            arrays["classes"] = np.array(features[target].names)
        files = [
            (f"{split}/{Path(file['filename']).name}", file["filename"])
            for split in filter(None, (train_split, held))
            for file in splits[split].cache_files
        ]
    if held is not None and test_split is None and held != "test":
        notes.append(f"the split {held} is the test split, as there is no test")
    dataset = dataset_of(arrays, where, fingerprint=fingerprint_of(files))
    return replace(dataset, notes=(*notes, *dataset.notes))


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """While it is entered the library asks nobody, whenever it was imported, and draws no bars."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    import datasets
    import datasets.config
    import huggingface_hub.constants

    places = [(datasets.config, name) for name in _OFFLINE]
    places.append((huggingface_hub.constants, "HF_HUB_OFFLINE"))
    values = [(place, name, getattr(place, name)) for place, name in places if hasattr(place, name)]
    bars = datasets.utils.are_progress_bars_disabled()
    try:
        for place, name, _ in values:
            setattr(place, name, True)
        datasets.utils.disable_progress_bars()
        yield
    finally:
        for place, name, value in values:
            setattr(place, name, value)
        if not bars:
            datasets.utils.enable_progress_bars()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Place(NamedTuple):
    """Where a data set lies: the arguments of `huggingface` that say so."""

    path: str | None
    cached: str | None
    configuration: str | None

    @property
    def where(self) -> str:
        """What it is called in what is wrong."""
        return f"huggingface: {self.path if self.cached is None else self.cached}"

    def splits(self, only: str) -> dict[str, Any]:
        """Its splits by name; `only` names that of a data set that was saved without; `_offline`.

        Raises:
          InputError: where it cannot be read.
        """
        import datasets

        try:
            if self.cached is None:
                _require_files(Path(str(self.path)), self.where)
                found = datasets.load_from_disk(str(self.path))
            elif os.path.exists(self.cached):
                raise InputError(
                    f"{self.where}: is a folder here; give path for what save_to_disk wrote"
                )
            else:
                found = datasets.load_dataset(self.cached, self.configuration)
        except InputError:
            raise
        except Exception as error:  # whatever the library says of what is missing or damaged
            brief = str(error).partition("\n")[0][:200]
            saved = self.cached is None
            remedy = "save_to_disk writes one" if saved else "fetch it with the library first"
            raise InputError(f"{self.where}: cannot be read: {brief}; {remedy}") from None
        return {str(k): v for k, v in found.items()} if isinstance(found, dict) else {only: found}


def _require_files(folder: Path, where: str) -> None:
    """Make sure that a folder holds files alone: the library would wait for a pipe for ever."""
    for path in folder.rglob("*"):
        if not path.is_file() and not path.is_dir():
            raise InputError(f"{where}: {path.relative_to(folder)} is no regular file")


class _Images:
    """The encoded images of a column, by row number."""

    root = "the data set"

    def __init__(self, place: _Place, split: str, column: str, rows: Any = None):
        """Point at a column; its rows are looked up when they are first needed if not given."""
        self._place, self._split, self._column = place, split, column
        self._numbers: np.ndarray | None = None  # of the rows that are taken; None for all
        self._count, self._file = 0, ""  # which holds the numbers, of one that is lent
        if rows is not None:
            self._encoded, self._count = self._undecoded(rows), len(rows)

    def _undecoded(self, rows: Any) -> Any:
        import datasets

        only = rows.select_columns([self._column])
        return only.cast_column(self._column, datasets.Image(decode=False))

    @functools.cached_property
    def _encoded(self) -> Any:
        with _offline():
            return self._undecoded(self._place.splits(self._split)[self._split])

    def __len__(self) -> int:
        return self._count

    def name(self, row: int) -> str:
        return f"{self._split}[{self._number(row)}]"

    def open(self, row: int) -> Any:
        image = self._encoded[self._number(row)][self._column] or {}
        if image.get("bytes") is None:
            return Path(image.get("path") or "")
        return io.BytesIO(image["bytes"])

    def lent(self, folder: str) -> "_Images":
        other = _Images(self._place, self._split, self._column)
        other._count = self._count
        if self._numbers is not None:
            other._file = os.path.join(folder, "numbers.npy")
            np.save(other._file, self._numbers, allow_pickle=False)
        return other

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._file:
            self._numbers = np.load(self._file, allow_pickle=False)

    def _taking(self, names: Sequence[str]) -> "_Images":
        """The images of some names only."""
        if len(names) == len(self):
            return self
        numbers = {self.name(i): i for i in range(len(self))}
        other = copy.copy(self)
        other._numbers, other._count = np.array([numbers[name] for name in names]), len(names)
        return other

    def _number(self, row: int) -> int:
        return int(row if self._numbers is None else self._numbers[row])

    def _files(self) -> dict[str, Any]:
        return {self.name(i): functools.partial(self.open, i) for i in range(len(self))}

    def read(self, **how: Any) -> tuple[np.ndarray, dict[str, str]]:
        """All of them, and why some cannot be read; as of `read_images`."""
        with pillow():
            return read_images(self._files(), **how)

    def streamed(self, workers: Any, **how: Any) -> tuple[Any, dict[str, str]]:
        """Those that can be read as rows, and why others cannot; as of `stream_images`."""
        with pillow():
            return stream_images(self._files(), self._taking, workers, **how)


def _require(name: str, known: Any, kind: str, where: str) -> None:
    if name not in known:
        names = list(known)
        raise InputError(
            f"{where}: there is no {kind} {name!r}{nearest(name, names)}; there: {', '.join(names)}"
        )


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _only(features: Any, kind: str, argument: str, where: str) -> str:
    names = [name for name, feature in features.items() if _kind(feature) == kind]
    if len(names) != 1:
        raise InputError(
            f"{where}: {len(names)} columns of {kind}; say which is {argument}: "
            f"{', '.join(features)}"
        )
    return names[0]


def _one(inputs: Sequence[str], where: str) -> str:
    if len(inputs) > 1:
        raise InputError(f"{where}: x is one column of images, got {', '.join(inputs)}")
    return inputs[0]


def _stacked(rows: Any, names: Sequence[str], where: str) -> np.ndarray:
    """Columns of numbers side by side, (N, F); a column of arrays as it is, (N, ...)."""
    columns = [_column(rows, name, where) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.dtype.kind not in "biuf" or (len(names) > 1 and column.ndim > 1):
            text = f"{column.dtype} of shape {column.shape}"
            raise InputError(f"{where}: column {name!r} must be numbers, got {text}")
    if len(columns) == 1 and columns[0].ndim > 1:
        return columns[0]
    return np.stack([column.astype(np.float32) for column in columns], 1)


def _column(rows: Any, name: str, where: str) -> np.ndarray:
    values = rows.select_columns([name]).with_format("numpy")[:][name]
    values = np.asarray(values)
    if values.dtype.kind == "O":
        raise InputError(f"{where}: column {name!r} holds rows of several shapes, or missing ones")
    return values


def _labels(rows: Any, name: str, where: str) -> np.ndarray:
    values = _column(rows, name, where)
    if _kind(rows.features[name]) == "ClassLabel" and (values < 0).any():
        raise InputError(f"{where}: column {name!r} has rows without a label: leave them out first")
    return values
