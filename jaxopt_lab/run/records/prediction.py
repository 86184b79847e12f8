"""What a network says of samples, from its outputs."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.signature import Signature
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.readable import printable
from jaxopt_lab.core.types import Loss


class Prediction(NamedTuple):
    """What a network says of B samples; arrays of NumPy.

    Attributes:
      outputs: (B, K), those of `apply`.
      index: of classes (B,), the one whose output is largest; of labels (B, K), whether each is
        there: its output is above 0. None where the targets are numbers.
      probabilities: (B, K), as the run's loss has them: of a softmax they sum to 1, of sigmoids
        each is a probability of its own. None where the loss knows none: the outputs of a hinge or
        a squared error of classes are scores, and so are those of a loss of one's own that
        declares no `response`.
      numbers: (B,) or (B, K), as y is; by a loss of counts the rates that it expects. None for
        classes and labels.
      classes: names of the classes or labels.
    """

    outputs: np.ndarray
    index: np.ndarray | None
    probabilities: np.ndarray | None
    numbers: np.ndarray | None
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        count, width = len(self.outputs), self.outputs.shape[-1]
        what = f"{width:,} classes" if self.classes else f"{width:,} outputs each"
        names = self.names[:3] if self.index is not None else np.asarray(self.numbers)[:3].tolist()
        shown = printable(", ".join(map(str, names))) + (", ..." if count > 3 else "")
        return f"<Prediction of {count:,} samples, {what}: {shown}>"

    @property
    def names(self) -> list[str] | list[list[str]]:
        """The class of each sample by name; of labels those that are there; [] for numbers."""
        if self.index is None:
            return []
        if self.index.ndim == 1:
            return [self.classes[i] for i in self.index]
        return [[self.classes[i] for i in np.flatnonzero(row)] for row in self.index]

    @property
    def scores(self) -> np.ndarray:
        """The probabilities, or where there are none the outputs, (B, K)."""
        return self.outputs if self.probabilities is None else self.probabilities


def prediction_of(outputs: np.ndarray, signature: Signature, loss: Loss) -> Prediction:
    """What outputs (B, K) of a network say, by its loss."""
    outputs = outputs if outputs.dtype == np.float64 else outputs.astype(np.float32)
    response = declared(loss).response
    found = outputs if response is None else np.asarray(response(jnp.asarray(outputs)))
    classes = signature.classes
    if signature.targets == "numbers":
        numbers = found if signature.y_shape else found[:, 0]
        return Prediction(outputs, None, None, numbers, classes)
    index = outputs.argmax(-1) if signature.targets == "classes" else outputs > 0
    return Prediction(outputs, index, None if response is None else found, None, classes)
