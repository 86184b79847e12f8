"""The IDX format of MNIST and its successors: a magic number, the sizes, then the bytes."""

import os
import struct
from pathlib import Path

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.bounded import opened, read_exactly
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.locate import Published, data_folder, not_found

_UNSIGNED_BYTE = 0x08
_SIDE = 28  # pixels
_PUBLISHED_COUNTS = {"train": 60_000, "t10k": 10_000}
_PARTS = tuple(
    (split, kind) for split in _PUBLISHED_COUNTS for kind in ("images-idx3", "labels-idx1")
)


def load_idx(
    published: Published,
    data_dir: str | os.PathLike[str] | None,
    folders: tuple[str, ...],
    classes: tuple[str, ...],
    *,
    balanced: bool,
) -> Dataset:
    """The four IDX files of a data set in MNIST's layout.

    Args:
      published: the data set.
      data_dir: the user's folder, None for the environment variable's.
      folders: folders below it to look in, before it itself.
      classes: the class names.
      balanced: whether the published training split has equally many images of each class.
        Fashion-MNIST has and MNIST has not: it tells apart two sets whose files share their names.

    Returns:
      A `Dataset` of (N, 28, 28, 1) images.

    Raises:
      InputError: the files are missing, damaged, or those of another data set.
    """
    root = data_folder(data_dir, published)
    images, labels, test_images, test_labels = _find(published, root, folders)
    dataset = Dataset(
        _split(images, labels, _PUBLISHED_COUNTS["train"], len(classes)),
        _split(test_images, test_labels, _PUBLISHED_COUNTS["t10k"], len(classes)),
        classes,
    )
    counts = np.bincount(dataset.train["y"], minlength=len(classes))
    if counts.sum() == _PUBLISHED_COUNTS["train"] and (counts.min() == counts.max()) != balanced:
        raise InputError(
            f"{labels}: not the labels of {published.name}: it has "
            f"{'equally' if balanced else 'not equally'} many images of each class, these are "
            f"{counts.tolist()}. MNIST and Fashion-MNIST name their files alike: keep each in a "
            f"folder of its own, such as {root / folders[0]}"
        )
    return dataset


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """One IDX file of unsigned bytes, plain or gzip.

    The header is held to `shape` before memory is given to what it claims.

    Args:
      path: the file.
      shape: what is expected; of the first size any from 1 to the one given will do.

    Returns:
      An array of uint8 with the header's sizes.

    Raises:
      InputError: another magic number or other sizes; shorter or longer than the header says.
    """
    with opened(path) as stream:
        magic = stream.read(4)
        expected = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
        if magic != expected:
            raise InputError(
                f"{path}: not the IDX file expected: it starts with {_hex(magic)}, must start with "
                f"{_hex(expected)} (unsigned bytes, {len(shape)} sizes). Fetch it again."
            )
        header = read_exactly(stream, 4 * len(shape), path)
        sizes = struct.unpack(f">{len(shape)}I", header.tobytes())
        if not 1 <= sizes[0] <= shape[0] or sizes[1:] != shape[1:]:
            raise InputError(
                f"{path}: its header claims the sizes {sizes}, expected {shape}, or fewer of the "
                "first. Fetch it again."
            )
        data = read_exactly(stream, int(np.prod(sizes)), path)
        if stream.read(1):  # at the end of a gzip stream this also compares its checksum
            raise InputError(
                f"{path}: longer than the {data.size:,} bytes of data that its header claims. "
                "Fetch it again."
            )
    return data.reshape(sizes)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}" if data else "nothing (the file is empty)"


def _split(
    images_path: Path, labels_path: Path, count: int, n_classes: int
) -> dict[str, np.ndarray]:
    labels = read_idx(labels_path, (count,))
    if labels.max() >= n_classes:
        raise InputError(
            f"{labels_path}: holds the label {labels.max()}, expected 0 to {n_classes - 1}. "
            "Fetch it again."
        )
    images = read_idx(images_path, (count, _SIDE, _SIDE))
    if len(images) != len(labels):
        raise InputError(
            f"{images_path}: {len(images):,} images, but {len(labels):,} labels in {labels_path}. "
            "Fetch both again."
        )
    return {"x": images[..., None], "y": labels.astype(np.int32)}


def _find(published: Published, root: Path, folders: tuple[str, ...]) -> list[Path]:
    """The four files, all of one folder, so that two data sets are never mixed."""
    names = [f"{split}-{kind}-ubyte" for split, kind in _PARTS]
    incomplete = {}
    for folder in (*folders, "."):
        paths = [_variant(root / folder, split, kind) for split, kind in _PARTS]
        if all(paths):
            return [path for path in paths if path]
        if any(paths):
            incomplete[root / folder] = [
                name for name, path in zip(names, paths, strict=True) if path is None
            ]
    raise not_found(
        published,
        names,
        root,
        folders,
        "all four in one folder, each with or without .gz; train-images.idx3-ubyte and so on "
        "will do",
        incomplete,
    )


def _variant(folder: Path, split: str, kind: str) -> Path | None:
    """The file under one of its usual names; a folder of that name only where there is no file."""
    what, idx = kind.split("-")
    stems = (f"{split}-{what}-{idx}-ubyte", f"{split}-{what}.{idx}-ubyte")
    paths = [folder / f"{stem}{end}" for stem in stems for end in ("", ".gz")]
    for exists in (os.path.isfile, os.path.exists):
        for path in paths:
            if exists(path):
                return path
    return None
