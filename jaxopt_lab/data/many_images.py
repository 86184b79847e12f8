"""Encoded images, many at once, to one array in memory; what cannot be read is listed by name."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.memory import require_memory
from jaxopt_lab.data.arrays import brief_list
from jaxopt_lab.data.images import Channels, Form, Resize, Size, Unreadable, is_gray, pixels_of

_MEMORY_SHARE = 0.75


def read_images(
    files: Mapping[str, Any],
    *,
    size: Size | None,
    channels: Channels | None,
    resize: Resize,
    skip: bool,
    source: str,
) -> tuple[np.ndarray, dict[str, str]]:
    """Decode images in a few threads, each into its place; within `images.pillow()`.

    Args:
      files: a path by the name of each image, or a function that opens a stream of its bytes.
      size, channels, resize: what they become, as `image_folder` says.
      skip: whether to go on without those that cannot be read.
      source: is named in what is wrong.

    Returns:
      (n, H, W, C) uint8, those that can be read in their order, and why the others cannot.

    Raises:
      InputError: images of several sizes where `size` is None, some that cannot be read, or more
        than 3/4 of the memory.
    """
    form, faults = form_of(
        files, size=size, channels=channels, resize=resize, skip=skip, source=source
    )
    good = {name: file for name, file in files.items() if name not in faults}
    images, late = _decoded(good, form, source)
    _refuse(late, skip, source)
    return images, faults | late


def form_of(
    files: Mapping[str, Any],
    *,
    size: Size | None,
    channels: Channels | None,
    resize: Resize,
    skip: bool,
    source: str,
) -> tuple[Form, dict[str, str]]:
    """What images become, by their headers, and why some files are none; within `pillow()`.

    Args:
      files, size, channels, resize, skip, source: as of `read_images`.

    Raises:
      InputError: where one cannot be read and `skip` is not set.
    """
    wanted = _size(size, source)
    if channels not in (None, 1, 3, 4):
        raise ArgumentError(source, {"channels": f"must be 1, 3 or 4, got {channels!r}"})
    gray, faults = _headers(files)
    _refuse(faults, skip, source)
    return Form(wanted, channels or (1 if gray else 3), resize), faults


def undecodable(files: Mapping[str, Any], form: Form) -> dict[str, str]:
    """Why some images cannot be decoded, by name: each is, and let go; within `pillow()`."""
    names = list(files)

    def look(i: int) -> str | None:
        try:
            pixels_of(_open(files[names[i]]), form)
        except Unreadable as error:
            return str(error)
        return None

    found = zip(names, _in_pool(look, len(names)), strict=True)
    return {name: text for name, text in found if text is not None}


def several_sizes(
    source: str, first: str, shape: Sequence[int], other: str, found: Sequence[int]
) -> InputError:
    """What is wrong where an image has not the (height, width, ...) of the first."""
    return InputError(
        f"{source}: images of several sizes: {first} is {_by(shape)}, {other} is {_by(found)} "
        f"(height x width); give a size, size = [{shape[0]}, {shape[1]}] for one, and how to reach "
        "it (resize)"
    )


def skipped(faults: Mapping[str, str]) -> str:
    """What was left out, in words."""
    return f"skipped {_files(faults)} that cannot be read: {_listed(faults)}"


def _size(size: Any, source: str) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, int):
        return size, size
    if len(size) != 2:
        text = f"must be [height, width] or one number, got {list(size)}"
        raise ArgumentError(source, {"size": text})
    return int(size[0]), int(size[1])


def _in_pool(work: Callable[[int], Any], count: int) -> list[Any]:
    """What a function gives for each number; its first error is raised here."""
    with ThreadPoolExecutor(min(8, usable_cores())) as pool:
        return list(pool.map(work, range(count)))


def _headers(files: Mapping[str, Any]) -> tuple[bool, dict[str, str]]:
    """Whether all images are gray, and why some files are none."""
    names = list(files)

    def look(i: int) -> bool | str:
        file = files[names[i]]
        if isinstance(file, Path) and not file.is_file():
            return "a link to nothing" if file.is_symlink() else "no regular file"
        try:
            return is_gray(_open(file))
        except Unreadable as error:
            return str(error)

    found = dict(zip(names, _in_pool(look, len(names)), strict=True))
    faults = {name: text for name, text in found.items() if isinstance(text, str)}
    return all(gray is True for name, gray in found.items() if name not in faults), faults


def _open(file: Any) -> Any:
    return file() if callable(file) else file


def _decoded(
    files: Mapping[str, Any], form: Form, source: str
) -> tuple[np.ndarray, dict[str, str]]:
    """The images that can be decoded, and why the others cannot."""
    names, faults = list(files), {}
    first = None
    for name in names:  # the first that can be read says the size
        try:
            first = pixels_of(_open(files[name]), form)
            break
        except Unreadable as error:
            faults[name] = str(error)
    if first is None:
        return np.zeros((0, 0, 0, form.channels), np.uint8), faults
    began = names[len(faults)]
    shape = (len(names), *first.shape)
    what = f"{source}: {len(names):,} images of {_by(first.shape)}"
    require_memory(what, int(np.prod(shape)), _MEMORY_SHARE, "give a smaller size")
    images = np.empty(shape, np.uint8)

    def decode(i: int) -> str | tuple[int, ...] | None:
        try:
            pixels = pixels_of(_open(files[names[i]]), form)
        except Unreadable as error:
            return str(error)
        if pixels.shape != first.shape:
            return pixels.shape
        images[i] = pixels
        return None

    good = 0
    for i, found in enumerate(_in_pool(decode, len(names))):
        if isinstance(found, tuple):
            raise several_sizes(source, began, first.shape, names[i], found)
        if found is not None:
            faults[names[i]] = found
            continue
        if good < i:  # in place: there may be no room for a second copy
            images[good] = images[i]
        good += 1
    return images[:good], faults


def _by(shape: Sequence[int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _refuse(faults: Mapping[str, str], skip: bool, source: str) -> None:
    if faults and not skip:
        raise InputError(
            f"{source}: {_files(faults)} cannot be read: {_listed(faults)}; mend them or "
            'take them away, or leave them out by unreadable = "skip"'
        )


def _files(faults: Mapping[str, str]) -> str:
    return "1 file" if len(faults) == 1 else f"{len(faults):,} files"


def _listed(faults: Mapping[str, str]) -> str:
    return brief_list([f"{name} ({text})" for name, text in faults.items()])
