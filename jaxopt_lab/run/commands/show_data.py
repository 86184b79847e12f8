"""`jaxopt-lab show-data`: what a configuration trains on, before anything is trained."""

import hashlib
import os
import pathlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxopt_lab.config.sections import DataConfig
from jaxopt_lab.config.source import IMAGE_RANK, load_dataset, split_dataset
from jaxopt_lab.core.rows import chunks, take_rows
from jaxopt_lab.core.types import Split
from jaxopt_lab.data import Dataset, targets_of
from jaxopt_lab.data.feature_names import feature_names
from jaxopt_lab.run.records.pictures import require_png_path, write_figure
from jaxopt_lab.run.terminal.progress import Progress

NARROW = 72  # columns of a terminal, below which a table leaves one of its own out
MOST_ROWS = 100  # of a table of classes or columns
ACROSS, DOWN = 8, 10  # pictures
POINTS = 2000  # samples that are drawn of a table
PANELS = 16


def show_data(
    config: DataConfig,
    path: pathlib.Path,
    terminal: Progress,
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> bool:
    """Print the splits, their classes and columns, and what they share; draw samples into a PNG.

    Args:
      config: `[data]`.
      path: of the picture to write.
      terminal: where to print.
      data_dir: where published data sets lie; None for the environment variable JAXOPT_LAB_DATA.

    Returns:
      Whether a picture was written: of images, and of samples of one axis.

    Raises:
      InputError: where the data is missing or wrong, or `path` is no place for a file.
    """
    require_png_path("show-data", path)
    with terminal.waiting("reading the data ..."):
        # As they came: what is missing is counted, not filled.
        dataset = replace(load_dataset(config.source, data_dir), fill=None)
        found = split_dataset(config, dataset, finite=False)
    splits = {"train": found.train, "validation": found.validation, "test": found.test}
    parts = {name: part for name, part in splits.items() if part is not None}
    _show_splits(config.source.name, parts, terminal)
    targets = targets_of(dataset)
    if targets == "numbers":
        _show_numbers(parts, terminal)
    else:
        _show_classes(dataset.classes, parts, terminal)
    if dataset.columns:
        _show_columns(dataset, parts["train"], terminal)
    _show_repeated(parts, terminal)
    for note in dataset.notes:
        terminal.say(f"note: {note}")
    figure = _drawn(dataset, targets, parts["train"])
    if figure is None:
        shape = parts["train"]["x"].shape[1:]
        terminal.say(f"no picture: samples of shape {shape} are neither images nor of one axis")
        return False
    write_figure(path, figure)
    return True


def _show_splits(name: str, parts: Mapping[str, Split], terminal: Progress) -> None:
    rows = []
    for split, part in parts.items():
        low, high, missing = _range_of(part["x"])
        row = {
            "split": split,
            "samples": f"{len(part['y']):,}",
            "x": _kind(part["x"]),
            "y": _kind(part["y"]),
            "values of x": f"{low:.4g} to {high:.4g}",
            "missing": f"{missing:,}",
        }
        if "weight" in part:
            row["weights"] = f"{part['weight'].min():.4g} to {part['weight'].max():.4g}"
        rows.append(row)
    names = list(rows[0])
    if not any(row["missing"] != "0" for row in rows):
        names.remove("missing")
    if terminal.console.width < NARROW:
        names.remove("y")
    terminal.columns(name, names, [[row.get(key, "-") for key in names] for row in rows])


def _kind(values: Any) -> str:
    """`8x8x1 uint8`, of one sample."""
    shape = "x".join(map(str, values.shape[1:]))
    return f"{shape} {values.dtype}".strip()


def _range_of(x: np.ndarray) -> tuple[float, float, int]:
    """The least and the largest value that is there, and how many are missing."""
    low, high, missing = np.inf, -np.inf, 0
    for piece in chunks(x):
        gone = np.isnan(piece) if piece.dtype.kind == "f" else np.zeros(1, bool)
        missing += int(gone.sum())
        if not gone.all():
            low, high = min(low, float(np.nanmin(piece))), max(high, float(np.nanmax(piece)))
    return low, high, missing


def _show_classes(classes: tuple[str, ...], parts: Mapping[str, Split], terminal: Progress) -> None:
    """How many samples of each class, or with each label, there are."""
    counts = {}
    for split, part in parts.items():
        y = np.asarray(part["y"])
        counts[split] = y.sum(0) if y.ndim == 2 else np.bincount(y, minlength=len(classes))
    rows = [(name, *(f"{counts[split][k]:,}" for split in parts)) for k, name in enumerate(classes)]
    terminal.columns(f"{len(classes):,} classes", ("class", *parts), rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        terminal.say(f"  and {len(rows) - MOST_ROWS:,} more")
    for split in parts:
        if gone := [name for k, name in enumerate(classes) if not counts[split][k]]:
            what = gone[0] if len(gone) == 1 else f"{len(gone):,} classes, {gone[0]} for one"
            terminal.say(f"note: {split} has no sample of {what}")


def _show_numbers(parts: Mapping[str, Split], terminal: Progress) -> None:
    """Mean, deviation and range of each target in each split."""
    rows = []
    for split, part in parts.items():
        y = np.asarray(part["y"], np.float64).reshape(len(part["y"]), -1)
        for k in range(min(y.shape[1], MOST_ROWS)):
            column = y[:, k]
            numbers = (column.mean(), column.std(), column.min(), column.max())
            rows.append((split, str(k), *(f"{number:.4g}" for number in numbers)))
    terminal.columns("targets", ("split", "target", "mean", "deviation", "least", "largest"), rows)


def _show_columns(dataset: Dataset, train: Split, terminal: Progress) -> None:
    rows = []
    for name, column in zip(feature_names(dataset.columns), train["x"].T, strict=True):
        known = column[~np.isnan(column)].astype(np.float64)
        if not len(known):
            rows.append((name, "-", "-", "-", "-", f"{len(column):,}"))
            continue
        numbers = (known.mean(), known.std(), known.min(), known.max())
        missing = f"{len(column) - len(known):,}"
        rows.append((name, *(f"{number:.4g}" for number in numbers), missing))
    names = ["column", "mean", "deviation", "least", "largest", "missing"]
    if terminal.console.width < NARROW:
        rows = [(*row[:2], *row[3:]) for row in rows]
        names.remove("deviation")
    terminal.columns("columns of the training split", names, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        terminal.say(f"  and {len(rows) - MOST_ROWS:,} more")


def _show_repeated(parts: Mapping[str, Split], terminal: Progress) -> None:
    """Samples whose x is that of another, byte for byte: between splits they are a leak."""
    hashes = {split: _hashes(part["x"]) for split, part in parts.items()}
    names, found = list(hashes), []
    for i, one in enumerate(names):
        if repeated := len(hashes[one]) - len(set(hashes[one])):
            found.append(f"samples of {one} that repeat others of it: {repeated:,}")
        for other in names[i + 1 :]:
            own = set(hashes[one])
            if shared := sum(digest in own for digest in hashes[other]):
                found.append(f"samples of {other} that are in {one} too: {shared:,}")
    for text in found or ["no sample is there twice"]:
        terminal.say(text)


def _hashes(x: np.ndarray) -> list[bytes]:
    return [
        hashlib.blake2b(sample.tobytes(), digest_size=16).digest()
        for piece in chunks(x)
        for sample in piece
    ]


def _drawn(dataset: Dataset, targets: str, train: Split) -> Any:
    """A figure of samples of training; None where they are nothing to draw."""
    from jaxopt_lab.plots import column_histograms, image_grid  # here: matplotlib takes long

    x, y = train["x"], np.asarray(train["y"])
    if len(x.shape) == IMAGE_RANK + 1 and x.shape[-1] in (1, 3, 4):
        return image_grid(_grid(x, y, dataset.classes, targets))
    if len(x.shape) != 2:
        return None
    rows = np.linspace(0, len(x) - 1, min(len(x), POINTS)).astype(np.int64)
    names = feature_names(dataset.columns) or tuple(f"x[{i}]" for i in range(x.shape[1]))
    table = {"values": x[rows][:, :PANELS], "name": names[:PANELS]}
    if targets == "classes":
        return column_histograms(table | {"label": y[rows], "class_name": dataset.classes})
    return column_histograms(table | {"target": y.reshape(len(y), -1)[rows, 0]})


def _grid(x: Any, y: np.ndarray, classes: tuple[str, ...], targets: str) -> dict[str, Any]:
    """The first images of each class in a row of its own; of other targets some of all."""
    if targets == "classes":
        rows = [np.flatnonzero(y == k)[:ACROSS] for k in range(len(classes))][:DOWN]
        rows = [row for row in rows if len(row)]
        across = min(map(len, rows))
        chosen = np.stack([row[:across] for row in rows])
    else:
        count = min(len(y), ACROSS * DOWN) // ACROSS * ACROSS or len(y)
        spaced = np.linspace(0, len(y) - 1, count).astype(np.int64)
        chosen = spaced.reshape(-1, min(ACROSS, count))
    images = np.asarray(take_rows(x, chosen))
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        low, high = float(images.min()), float(images.max())
        images = images if low >= 0 and high <= 1 else (images - low) / max(high - low, 1e-12)
    text = [[_words(y[i], classes, targets) for i in row] for row in chosen]
    return {
        "image": images.astype(np.float32) if images.dtype != np.uint8 else images,
        "text": text,
    }


def _words(target: np.ndarray, classes: tuple[str, ...], targets: str) -> str:
    if targets == "classes":
        return classes[int(target)]
    if targets == "labels":
        return ", ".join(name for name, there in zip(classes, target, strict=True) if there) or "-"
    return ", ".join(f"{number:.3g}" for number in np.ravel(target)[:3])
