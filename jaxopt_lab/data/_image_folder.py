"""Image files in a folder a class."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import FilePath, OfMachine, checked
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.rows import take_rows
from jaxopt_lab.data.arrays import brief_list
from jaxopt_lab.data.class_folders import read_tree
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.fingerprint import fingerprint_of
from jaxopt_lab.data.images import Channels, Resize, Size, pillow
from jaxopt_lab.data.many_images import read_images, skipped
from jaxopt_lab.data.streamed_images import ImageFiles, Workers, stream_images

_LISTED = 10


@checked
def image_folder(
    path: FilePath,
    *,
    size: Size | None = None,
    channels: Channels | None = None,
    resize: Resize = "crop",
    unreadable: Literal["refuse", "skip"] = "refuse",
    group: str | None = None,
    stream: Annotated[bool, OfMachine()] = False,
    workers: Workers = "auto",
) -> Dataset:
    """Image files, a folder a class: path/CLASS/..., or path/train/CLASS and path/test/CLASS.

    Files are PNG, JPEG, WebP and what else Pillow reads; of an animation the first image. `test`
    may be missing, and a part of the images is then drawn for it; `val` stands in for it.

    Classes are numbered in natural order of their names, class_2 before class_10, and those of the
    test split go by name: one that is missing there moves no number. Names that begin with a dot
    are passed over, and so are empty folders. Every image ends up in memory, as bytes, unless
    `stream` is set: for more images than memory holds.

    Args:
      path: of the folder.
      size: pixels, [height, width] or one number for both; None where all images have one size.
      channels: 1 gray, 3 color, 4 with alpha; None for 1 where all are gray and else for 3.
        Transparent pixels are laid on white where alpha is not kept.
      resize: "crop" scales an image to cover `size` and cuts both ends, "stretch" changes its
        proportions, "pad" fits all of it in and fills with black; each by a bilinear filter.
      unreadable: "refuse" to go on with files that are no images or are damaged, or "skip" and
        list them.
      group: a regular expression that is searched for in each path below `path`; images in which it
        (its first group, where it has one) finds the same text are kept in one split, such as
        those of a patient, "patient_\\d+".
      stream: whether images that are trained on stay in their files, and each batch is decoded
        ahead of its step: the same run, to the byte, in little memory. What is held out is decoded
        once where it takes at most 256 MiB. A damaged file that has a sound header is found when it
        is decoded; with unreadable = "skip" each is decoded once to begin with.
      workers: processes that decode where `stream` is set, >= 0: "auto" for one a core and at most
        16, 0 for a thread of the process that trains. They decode the same batches, however many.

    Returns:
      A `Dataset` of (N, H, W, C) uint8 images and (N,) int32 labels.

    Raises:
      InputError: no such folder, no images, one class only, a test class that training has not,
        images of several sizes without `size`, files that cannot be read, or more than 3/4 of the
        memory; workers without Grain.

    Reference:
      The layout is that of `torchvision.datasets.ImageFolder` and of
      `keras.utils.image_dataset_from_directory`.
    """
    root = Path(path)
    with pillow():
        tree = read_tree(root)
        classes = tuple(tree.train)
        splits = {"train": tree.train} | ({"test": tree.test} if tree.test is not None else {})
        _require_classes(root, classes, tree.test)
        labels = {name: i for i, name in enumerate(classes)}
        files = {
            split: [(labels[name], file) for name, of_class in found.items() for file in of_class]
            for split, found in splits.items()
        }
        names = [file for found in files.values() for _, file in found]
        paths = {name: root / name for name in names}
        skip = unreadable == "skip"
        how: Any = {"size": size, "channels": channels, "resize": resize, "skip": skip}
        if stream:
            images, faults = stream_images(
                paths,
                lambda names: ImageFiles(root, names),
                workers,
                source="image_folder",
                **how,
            )
        else:
            images, faults = read_images(paths, source="image_folder", **how)
    kept = {name for name in names if name not in faults}
    rows = {split: [(k, f) for k, f in found if f in kept] for split, found in files.items()}
    arrays = {}
    start = 0
    for split, found in rows.items():
        y = np.array([label for label, _ in found], np.int32)
        arrays[split] = {"x": take_rows(images, slice(start, start + len(y))), "y": y}
        start += len(y)
    if group is not None:
        arrays["train"]["group"] = _groups(group, [file for _, file in rows["train"]])
    counts = np.bincount(arrays["train"]["y"], minlength=len(classes))
    _require_images(root, dict(zip(classes, counts.tolist(), strict=True)), rows)
    notes = [*tree.notes, _class_counts(classes, counts)]
    if faults:
        notes.append(skipped(faults))
    return Dataset(
        arrays["train"],
        arrays.get("test"),
        classes,
        "classes",
        train_names=tuple(file for _, file in rows["train"]),
        test_names=tuple(file for _, file in rows.get("test", ())),
        ordered=True,
        fingerprint=fingerprint_of((name, root / name) for name in names if name in kept),
        notes=tuple(notes),
    )


def _require_classes(
    root: Path, classes: Sequence[str], test: Mapping[str, Sequence[str]] | None
) -> None:
    if len(classes) < 2:
        raise InputError(
            f"image_folder: {root} has one class only, {classes[0]!r}: nothing to tell apart"
        )
    if unknown := [name for name in test or () if name not in classes]:
        raise InputError(
            f"image_folder: {root}: the test split has the class {unknown[0]!r}, which is none of "
            f"training{nearest(unknown[0], classes)}; there: {brief_list(classes)}"
        )


def _require_images(root: Path, counts: Mapping[str, int], rows: Mapping[str, Sequence]) -> None:
    if gone := [name for name, count in counts.items() if not count]:
        raise InputError(
            f"image_folder: {root}: no image of the class {gone[0]!r} can be read: take the folder "
            "away, or mend its files"
        )
    if "test" in rows and not rows["test"]:
        raise InputError(f"image_folder: {root}: no image of the test split can be read")


def _groups(pattern: str, files: Sequence[str]) -> np.ndarray:
    try:
        searched = re.compile(pattern)
    except re.error as error:
        text = f"is no regular expression: {error}, got {pattern!r}"
        raise ArgumentError("image_folder", {"group": text}) from None
    found = [searched.search(file) for file in files]
    for file, match in zip(files, found, strict=True):
        if match is None:
            raise InputError(f"image_folder: group = {pattern!r} finds nothing in {file}")
    return np.array([match[1 if searched.groups else 0] or "" for match in found if match])


def _class_counts(classes: Sequence[str], counts: np.ndarray) -> str:
    if len(classes) <= _LISTED:
        listed = ", ".join(f"{name} {count:,}" for name, count in zip(classes, counts, strict=True))
        return f"classes: {listed}"
    few, many = int(counts.argmin()), int(counts.argmax())
    return (
        f"{len(classes):,} classes of {counts[few]:,} ({classes[few]}) to {counts[many]:,} "
        f"({classes[many]}) images"
    )
