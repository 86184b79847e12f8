"""What a judgment of a network says."""

from collections.abc import Mapping
from typing import NamedTuple


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
