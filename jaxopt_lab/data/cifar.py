"""The binary layout of CIFAR: records of label bytes and three planes, in a folder or a tar.gz."""

import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.bounded import Readable, opened, read_exactly
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.locate import Published, data_folder, not_found

_SIDE, _CHANNELS = 32, 3
_PLANE = _SIDE * _SIDE
# Bytes of an archive beside the records: tar headers and padding, class names, a readme.
_BESIDE_RECORDS = 1 << 20


class Layout(NamedTuple):
    """What one of the CIFAR archives holds.

    Attributes:
      published: the data set.
      archive: the name of the tar.gz.
      folder: the name of the folder in it.
      train: `{file name: records in it}`, in order.
      test: the same.
      label_bytes: `{name: class count}` of the bytes that start a record, in order.
    """

    published: Published
    archive: str
    folder: str
    train: dict[str, int]
    test: dict[str, int]
    label_bytes: dict[str, int]

    @property
    def files(self) -> dict[str, int]:
        return {**self.train, **self.test}

    @property
    def record(self) -> int:
        return len(self.label_bytes) + _CHANNELS * _PLANE


def load_cifar(
    layout: Layout,
    data_dir: str | os.PathLike[str] | None,
    folders: tuple[str, ...],
    labels: str,
    classes: tuple[str, ...],
) -> Dataset:
    """A CIFAR data set from its folder, or from its tar.gz without extracting it.

    Args:
      layout: what the archive holds.
      data_dir: the user's folder, None for the environment variable's.
      folders: folders below it to look in, beside it itself.
      labels: which of the layout's label bytes to return.
      classes: the class names of that label.

    Returns:
      A `Dataset` of (N, 32, 32, 3) images.

    Raises:
      InputError: the files are missing or damaged.
    """
    records = _read(layout, data_folder(data_dir, layout.published), folders)
    train = _to_arrays(layout, [records.pop(name) for name in layout.train], labels)
    test = _to_arrays(layout, [records.pop(name) for name in layout.test], labels)
    return Dataset(train, test, classes)


def _read(layout: Layout, root: Path, folders: tuple[str, ...]) -> dict[str, np.ndarray]:
    places = [root, *(root / folder for folder in folders)]
    incomplete = {}
    for place in places:
        for folder in (place / layout.folder, place):
            missing = [name for name in layout.files if not os.path.exists(folder / name)]
            if not missing:
                return {name: _read_file(layout, folder / name) for name in layout.files}
            if len(missing) < len(layout.files):
                incomplete[folder] = missing
    for place in places:
        if os.path.exists(place / layout.archive):
            return _read_archive(layout, place / layout.archive)
    raise not_found(
        layout.published,
        [layout.archive, *layout.files],
        root,
        [layout.folder, *folders],
        "the archive as it is or its files: the binary version, as the Python version is pickled",
        incomplete,
    )


def _read_file(layout: Layout, path: Path) -> np.ndarray:
    with opened(path) as stream:
        return _read_records(layout, path.name, path, os.path.getsize(path), stream)


def _read_archive(layout: Layout, path: Path) -> dict[str, np.ndarray]:
    """The records of a tar, member by member in the order they come; nothing is written to disk.

    Names only select: a member that is not a regular file of an expected name is passed over.
    """
    records: dict[str, np.ndarray] = {}
    with opened(path) as stream:
        metered = _Metered(stream, path)
        with tarfile.open(fileobj=metered, mode="r|", bufsize=1 << 16) as tar:  # pyright: ignore
            for member in tar:
                name = PurePosixPath(member.name).name
                if name not in layout.files or not member.isreg() or member.issparse():
                    continue
                if name in records:
                    raise InputError(f"{path}: holds {name} twice. Fetch the archive again.")
                content = tar.extractfile(member)
                assert content is not None, "a regular member has content"
                metered.allowed += member.size  # which is checked before it is read
                records[name] = _read_records(
                    layout, name, f"{path}: {member.name}", member.size, content
                )
        while metered.read(1 << 16):  # to the end, where gzip compares its checksum
            pass
    missing = [name for name in layout.files if name not in records]
    if missing:
        raise InputError(
            f"{path}: does not hold {', '.join(missing)}, expected {', '.join(layout.files)} as "
            "regular files: the binary version. Fetch it again."
        )
    return records


class _Metered:
    """A stream that gives no more bytes than `allowed`, which grows with each expected member."""

    def __init__(self, stream: Readable, path: Path):
        self.stream, self.path, self.allowed = stream, path, _BESIDE_RECORDS

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.allowed -= len(data)
        if self.allowed < 0:
            raise InputError(
                f"{self.path}: holds more than the published archive does: over "
                f"{_BESIDE_RECORDS:,} bytes beside its records. Fetch it again."
            )
        return data


def _read_records(
    layout: Layout, name: str, path: Path | str, size: int, stream: Readable
) -> np.ndarray:
    """(n, bytes of a record) uint8; size and labels are checked."""
    most = layout.files[name]
    if not 0 < size <= most * layout.record or size % layout.record:
        raise InputError(
            f"{path}: {size:,} bytes, expected a whole number of records of {layout.record:,} "
            f"bytes, 1 to {most:,} of them ({most * layout.record:,} bytes). Fetch it again."
        )
    records = read_exactly(stream, size, path).reshape(-1, layout.record)
    for column, (kind, n_classes) in enumerate(layout.label_bytes.items()):
        largest = records[:, column].max()
        if largest >= n_classes:
            raise InputError(
                f"{path}: holds the {kind} label {largest}, expected 0 to {n_classes - 1}. "
                "Fetch it again."
            )
    return records


def _to_arrays(layout: Layout, parts: list[np.ndarray], labels: str) -> dict[str, np.ndarray]:
    """Planes to (N, 32, 32, 3), each part freed once it is copied."""
    column = list(layout.label_bytes).index(labels)
    label = np.concatenate([part[:, column] for part in parts]).astype(np.int32)
    image = np.empty((len(label), _PLANE, _CHANNELS), np.uint8)
    start = 0
    while parts:
        planes = parts.pop(0)[:, len(layout.label_bytes) :].reshape(-1, _CHANNELS, _PLANE)
        for channel in range(_CHANNELS):
            image[start : start + len(planes), :, channel] = planes[:, channel]
        start += len(planes)
    return {"x": image.reshape(-1, _SIDE, _SIDE, _CHANNELS), "y": label}
