"""A data set of Hugging Face's library, from the disk."""

import contextlib
import functools
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.ranges import FilePath, checked
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.data.arrays import dataset_of
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.fingerprint import fingerprint_of
from jaxopt_lab.data.images import Channels, Resize, Size, pillow
from jaxopt_lab.data.many_images import read_images, skipped

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

    Returns:
      A `Dataset`, whose classes are the names of the class labels; other targets go by their dtype,
      as of `npz`.

    Raises:
      InputError: no such data set, split or column, or values that are missing or no data.

    Reference:
      https://huggingface.co/docs/datasets.
    """
    if (path is None) == (cached is None):
        raise InputError("huggingface: give path, of a saved data set, or cached, a name; one")
    require("datasets", "huggingface")
    where = f"huggingface: {path if cached is None else cached}"
    with _offline():
        found = _load(path, cached, configuration, where)
        splits = dict(found) if isinstance(found, dict) else {train_split: found}
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
                how = {"size": size, "channels": channels, "resize": resize}
                images, faults = _images(rows, inputs, split, unreadable == "skip", where, how)
                arrays[f"x{suffix}"] = images
                names = _names(rows, split)
                kept = np.array([i for i, name in enumerate(names) if name not in faults], int)
                notes += [skipped(faults)] if faults else []
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


def _load(path: str | None, cached: str | None, configuration: str | None, where: str) -> Any:
    import datasets

    try:
        if cached is None:
            return datasets.load_from_disk(str(path))
        if os.path.exists(cached):
            raise InputError(f"{where}: is a folder here; give path for what save_to_disk wrote")
        return datasets.load_dataset(cached, configuration)
    except InputError:
        raise
    except Exception as error:  # whatever the library says of what is missing or damaged
        brief = str(error).partition("\n")[0][:200]
        remedy = "save_to_disk writes one" if cached is None else "fetch it with the library first"
        raise InputError(f"{where}: cannot be read: {brief}; {remedy}") from None


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


def _names(rows: Any, split: str) -> list[str]:
    return [f"{split}[{i}]" for i in range(len(rows))]


def _images(
    rows: Any, inputs: Sequence[str], split: str, skip: bool, where: str, how: dict[str, Any]
) -> tuple[np.ndarray, dict[str, str]]:
    import datasets

    if len(inputs) > 1:
        raise InputError(f"{where}: x is one column of images, got {', '.join(inputs)}")
    (name,) = inputs
    encoded = rows.select_columns([name]).cast_column(name, datasets.Image(decode=False))

    def opened(i: int) -> Any:
        image = encoded[i][name] or {}
        if image.get("bytes") is None:
            return Path(image.get("path") or "")
        return io.BytesIO(image["bytes"])

    files = {text: functools.partial(opened, i) for i, text in enumerate(_names(rows, split))}
    with pillow():
        return read_images(files, skip=skip, source=where, **how)


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
