"""What a judgment of a network says, and what those of layers have in common."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import jax
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Range

Factor = Annotated[float, Range(1, low_open=True)]


class Verdict(NamedTuple):
    """What was found, where, by which numbers, and what to do about it.

    Attributes:
      kind: one word, "healthy" or the fault, of those that the function that judges lists.
      layer: the path of the layer where it is worst; None where it is of no one layer.
      evidence: `{name: number}` that the verdict rests on.
      remedies: a sentence each, the likeliest first; empty for "healthy".
    """

    kind: str
    layer: str | None
    evidence: Mapping[str, float]
    remedies: tuple[str, ...]


DIVERGED = (
    "Lower the learning rate: a tenth of it is a good first try.",
    "Clip the gradients by their global norm, and skip steps that are not finite.",
    "Warm the learning rate up over the first few hundred steps.",
    "Look for a logarithm, a root or a quotient of zero in the loss and in the inputs.",
)
"""What to do about numbers that are not finite."""

KEEP_VARIANCE = (
    "Initialize so that variances are kept: He for ReLU and its kin, Glorot for tanh, orthogonal "
    "or LSUV for any activation."
)
NORMALIZE = (
    "Normalize: batch normalization, or layer or group normalization where batches are small."
)


def on_host(
    method: str, argument: str, layers: tuple[str, ...], columns: Mapping[str, jax.Array]
) -> dict[str, np.ndarray]:
    """The columns, a number a layer each, in float64.

    Raises:
      InputError: where they are traced, or of several networks.
    """
    try:
        found = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    except jax.errors.TracerArrayConversionError:
        raise InputError(
            f"{method}: {argument} must be of arrays that are computed, got traced ones: "
            "return it from jit and judge it outside"
        ) from None
    shapes = {column.shape for column in found.values()}
    if shapes != {(len(layers),)}:
        raise InputError(
            f"{method}: {argument} must be of one network, ({len(layers)},) numbers, got "
            f"{shapes.pop()}: take one with jax.tree.map(lambda a: a[i], {argument})"
        )
    return found
