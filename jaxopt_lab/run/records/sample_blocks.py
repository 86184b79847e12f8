"""Samples that go together, each with the place that it came from."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_lab.core.cast import cast
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.truth import Truth


class Fault(NamedTuple):
    """What cannot be read, by name, and why."""

    text: str


@dataclasses.dataclass(frozen=True)
class Block:
    """Raw samples.

    Attributes:
      x: (n, ...), as `Run.apply` takes them.
      names: of the file that each is of.
      rows: the number of each in its file, from 0; None where the file is the sample.
      truth: what is said of them.
    """

    x: np.ndarray
    names: list[str]
    rows: Sequence[int | None]
    truth: Truth

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> "Block":
        """Some of them."""
        places = rows.tolist()
        names, numbers = [self.names[i] for i in places], [self.rows[i] for i in places]
        return Block(self.x[rows], names, numbers, self.truth[rows])


Read = Iterator[Block | Fault]
"""What a file gives, in its order."""


def in_batches_of(size: int, blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks of `size` samples each, in their order, whatever files they are of.

    A smaller one comes last, and where a block of another dtype follows.
    """
    waiting, count = list[Block](), 0
    for block in blocks:
        if waiting and waiting[0].x.dtype != block.x.dtype:
            yield _joined(waiting)
            waiting, count = [], 0
        waiting.append(block)
        count += len(block)
        while count >= size:
            whole, count = _joined(waiting), count - size
            yield whole.take(np.arange(size))
            waiting = [whole.take(np.arange(size, len(whole)))] if count else []
    if waiting:
        yield _joined(waiting)


def sifted(
    network: Predictor,
    name: str,
    rows: Sequence[int],
    read: Callable[[slice], np.ndarray],
    truth_at: Callable[[slice], Truth],
) -> Read:
    """Rows that are read together where that goes, and by halves where one of them cannot be.

    Args:
      network: that they are for.
      name: of their file.
      rows: their numbers in it.
      read: some of them as x; raises where one is wrong.
      truth_at: what is true of some of them.
    """
    left = [slice(0, len(rows))]
    while left:
        part = left.pop()
        try:
            x = read(part)
        except InputError as error:
            if part.stop - part.start == 1:
                yield Fault(str(error))
                continue
            middle = (part.start + part.stop) // 2
            left += [slice(middle, part.stop), slice(part.start, middle)]
            continue
        yield from sound(network, Block(x, [name] * len(x), rows[part], truth_at(part)))


def sound(network: Predictor, block: Block) -> Read:
    """A block as the network takes it, bytes or floats; what is out of range or not finite is a
    fault."""
    signature, x = network.signature, block.x
    if signature.x_dtype == "uint8" and x.dtype.kind in "biu":
        good, why = (x >= 0) & (x <= 255), "is not in [0, 255], as the run was trained on bytes"
        x = x.astype(np.uint8)
    else:
        x = cast(x, np.float32)
        good, why = np.isfinite(x), "holds NaN or infinite values"
        if signature.fill is not None:
            good |= np.isnan(x)
        if signature.x_dtype == "uint8":
            good &= (x >= 0) & (x <= 1)
            why = "is not in [0, 1], nor whole numbers, and the run was trained on bytes"
    good = good.reshape(len(x), -1).all(-1)
    for i in np.flatnonzero(~good).tolist():
        yield Fault(f"{block.names[i]}, row {block.rows[i]:,}: {why}")
    if good.any():
        yield dataclasses.replace(block, x=x).take(np.flatnonzero(good))


def _joined(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        np.concatenate([b.x for b in blocks]),
        [name for b in blocks for name in b.names],
        [row for b in blocks for row in b.rows],
        Truth(
            np.concatenate([b.truth.y for b in blocks]),
            np.concatenate([b.truth.known for b in blocks]),
        ),
    )
