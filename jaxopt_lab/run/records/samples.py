"""Files of samples to predict, read piece by piece: what is wrong with one does not end the rest.

1. A file, a folder or a stream is read as what it is: images, arrays, a table, lines of JSON.
2. It gives `Block`s of raw samples, as `Run.apply` takes them, in its order, and in between the
   `Fault`s: samples that cannot be read, and why.
3. No more than a block of each is in memory, but for an array that is compressed or small.
"""

import io
import itertools
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.tables import SUFFIXES
from jaxopt_lab.run.records.array_samples import array_blocks
from jaxopt_lab.run.records.image_samples import image_blocks, listed_images
from jaxopt_lab.run.records.json_samples import line_blocks
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.sample_blocks import Read
from jaxopt_lab.run.records.table_samples import table_blocks

STDIN = "-"
_MAGIC = {b"PK\x03\x04": ".npz", b"\x93NUMPY": ".npy"}
_ARRAYS, _LINES = (".npz", ".npy"), (".jsonl", ".ndjson")


class Input(NamedTuple):
    """Something to predict.

    Attributes:
      count: of its samples; None where that is only known at its end.
      read: `most rows of a block -> blocks and faults`.
    """

    count: int | None
    read: Callable[[int], Read]


def inputs_to(
    network: Predictor, names: Sequence[str], stdin: BinaryIO | None = None
) -> list[Input]:
    """What is to be predicted, by the names of files and folders; "-" is standard input.

    Raises:
      InputError: where one is not there, or is of a kind that the network does not take.
    """
    return [_input(network, name, stdin) for name in names]


def _input(network: Predictor, name: str, stdin: BinaryIO | None) -> Input:
    if name == STDIN:
        if stdin is None:
            raise InputError(
                "predict: there is no standard input here: name files, or pipe something in"
            )
        return Input(None, lambda most: _of_stream(network, stdin, most))
    path = pathlib.Path(name)
    if not path.exists():
        raise InputError(f"predict: {name}: no such file or folder")
    if not path.is_file() and not path.is_dir():  # a pipe would be waited for
        raise InputError(f"predict: {name}: no regular file; - reads standard input")
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix in _ARRAYS:
        return Input(None, lambda most: array_blocks(network, name, name, most))
    if suffix in SUFFIXES:
        return Input(None, lambda most: table_blocks(network, name, most))
    if suffix in _LINES:
        return Input(None, lambda most: _of_lines_in(network, name, most))
    files = listed_images(network, path)
    return Input(len(files), lambda most: image_blocks(network, path, files, most))


def _of_lines_in(network: Predictor, name: str, most: int) -> Read:
    with open(name, "rb") as file:
        yield from line_blocks(network, name, file, most)


def _of_stream(network: Predictor, stream: BinaryIO, most: int) -> Read:
    """Standard input: an archive or an array of NumPy by its first bytes, else lines of JSON."""
    head = stream.read(max(map(len, _MAGIC)))
    for magic, suffix in _MAGIC.items():
        if head.startswith(magic):
            with tempfile.NamedTemporaryFile(suffix=suffix) as file:
                file.write(head)
                while piece := stream.read(1 << 20):
                    file.write(piece)
                file.flush()
                yield from array_blocks(network, STDIN, file.name, most)
            return
    lines = itertools.chain(io.BytesIO(head + stream.readline()), stream)
    yield from line_blocks(network, STDIN, lines, most)
