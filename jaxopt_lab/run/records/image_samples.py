"""Image files to predict: brought to size by the run's own rule, where its data had one."""

import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxopt_lab.config.source import IMAGE_RANK
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.signatures import signature_of
from jaxopt_lab.data.class_folders import files_below
from jaxopt_lab.data.images import Form, Unreadable, is_gray, pillow, pixels_of
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.sample_blocks import Block, Fault
from jaxopt_lab.run.records.truth import Truth, unknown

_AT_ONCE = 64  # images that are decoded together


class _Rule:
    """How a run's images were read."""

    def __init__(self, network: Predictor):
        signature, source = network.signature, network.config.data.source
        height, width, channels = signature.x_shape
        self.size = (height, width)
        sized = source.arguments.get("size") is not None
        resize = source.arguments.get("resize", "crop")
        self.form = Form(self.size if sized else None, channels, resize)
        # Data of image files has all of them in color where one is; other data says nothing of it.
        reads = signature_of(FAMILIES["data"].functions[source.name]).parameters
        given = source.arguments.get("channels") is not None
        self.gray_too = given or channels == 1 or "channels" in reads
        self.color_too = given or channels > 1

    def pixels(self, path: pathlib.Path) -> np.ndarray:
        """An image as the run saw its own, (H, W, C) uint8.

        Raises:
          Unreadable: where it cannot be, with the reason.
        """
        if not (self.gray_too and self.color_too):
            gray = is_gray(path)
            if gray and not self.gray_too:
                raise Unreadable("a gray image, and the run was trained on color")
            if not gray and not self.color_too:
                raise Unreadable("an image in color, and the run was trained on gray")
        found = pixels_of(path, self.form)
        if found.shape[:2] != self.size:
            raise Unreadable(
                f"{found.shape[0]} x {found.shape[1]} pixels, and the run was trained on "
                f"{self.size[0]} x {self.size[1]} (height x width), with no rule to resize"
            )
        return found


def listed_images(network: Predictor, path: pathlib.Path) -> list[str]:
    """The files of a folder, relative to it, in natural order; of a file itself "".

    Raises:
      InputError: where there are none, or the network takes no images.
    """
    shape, dtype = network.signature.x_shape, network.signature.x_dtype
    if len(shape) != IMAGE_RANK or shape[-1] not in (1, 3, 4) or dtype != "uint8":
        raise InputError(
            f"predict: {path} is taken for images, and the run was trained on {dtype} samples of "
            f"shape {shape}: give an .npz or .npy file, a table (.csv, .tsv, .parquet), or lines "
            "of JSON (.jsonl)"
        )
    if not path.is_dir():
        return [""]
    files = files_below(path)
    if not files:
        raise InputError(f"predict: {path} holds no files")
    return files


def image_blocks(
    network: Predictor, root: pathlib.Path, files: Sequence[str], most: int
) -> Iterator[Block | Fault]:
    """The images of a file or a folder; in a folder of a class's name they are of that class."""
    signature, rule, size = network.signature, _Rule(network), min(most, _AT_ONCE)
    number = {name: i for i, name in enumerate(signature.classes)}
    classes = number if signature.targets == "classes" else {}

    def decode(file: str) -> np.ndarray | str:
        path = root / file
        if not path.is_file():
            return "no regular file"
        try:
            return rule.pixels(path)
        except Unreadable as error:
            return str(error)

    with pillow(), ThreadPoolExecutor(min(8, usable_cores())) as pool:
        for at in range(0, len(files), size):
            part = files[at : at + size]
            found = list(zip(part, pool.map(decode, part), strict=True))
            for file, pixels in found:
                if isinstance(pixels, str):
                    yield Fault(f"{root / file}: {pixels}")
            good = [(file, p) for file, p in found if not isinstance(p, str)]
            if not good:
                continue
            folders = [_class_of(file, classes) for file, _ in good]
            truth = unknown(signature, len(good))
            if classes:
                y = np.array([max(0, place) for place in folders], signature.y_dtype)
                truth = Truth(y, np.array([place >= 0 for place in folders]))
            names = [str(root / file) for file, _ in good]
            yield Block(np.stack([p for _, p in good]), names, [None] * len(good), truth)


def _class_of(file: str, classes: dict[str, int]) -> int:
    """The class by whose name a folder above the file is called; -1 for none."""
    folders = pathlib.PurePosixPath(file).parts[:-1]
    return next((classes[folder] for folder in folders if folder in classes), -1)
