"""What the devices of a compiled program send each other."""

import math
import re
from collections.abc import Iterator

import jax.numpy as jnp

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_OPERATION = re.compile(rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_DTYPES = {"pred": "bool", "s": "int", "u": "uint", "f": "float", "bf": "bfloat"}


def collectives(text: str) -> Iterator[tuple[str, int]]:
    """The collectives of a program, each once however often a loop goes around.

    Args:
      text: of `jax.jit(f).lower(...).compile().as_text()`.

    Yields:
      Its kind, one of `KINDS`, and the bytes of its result on one device.
    """
    for line in text.splitlines():
        if found := _OPERATION.search(line):
            yield found[2], sum(_bytes(*array) for array in _ARRAY.findall(found[1]))


def _bytes(dtype: str, shape: str) -> int:
    size = math.prod(map(int, filter(None, shape.split(","))))
    if dtype == "pred":
        return size
    letters = dtype.rstrip("0123456789")
    return size * jnp.dtype(f"{_DTYPES[letters]}{dtype.removeprefix(letters)}").itemsize
