"""What every loader returns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jaxopt_lab.core.declare import Targets
from jaxopt_lab.data import shown

Fill = Literal["mean", "median"] | float
"""What stands in the place of a missing number: a statistic of the training rows, or a number."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set on the host: its training split, and its test split where it has one.

    It unpacks as `train, test, classes = dataset`.

    Attributes:
      train: `{"x": (N, ...), "y": (N,) or (N, K)}`, C-contiguous: x uint8 in 0..255, or floats; y
        int32 of classes, int32 0/1 of labels, float32 of numbers. Optionally `"weight"`, (N,)
        float32, and `"group"`, (N,) whole numbers or text: rows that belong together, which no
        split parts. A large array may be mapped from its file.
      test: the same for the test split, without groups; its N differs, the shape of a sample does
        not. None where there is none: one is drawn.
      classes: the name of each class, `classes[y]`, or of each label; empty for numbers.
      targets: what y is; None for what `targets_of` finds.
      columns: of a table, how its columns became x; see `encoding.Column`.
      fill: how NaN in x is filled, by statistics of what is trained on; None where there is none.
      train_names, test_names: a name a sample, such as its relative path; empty where samples are
        numbered only.
      ordered: whether the rows come in an order of their own, class by class for one; they are then
        shuffled.
      fingerprint: SHA-256, in hex, of what was read, wherever it lay; empty for published sets.
      notes: lines to tell the user.
    """

    train: dict[str, np.ndarray]
    test: Any = None
    classes: tuple[str, ...] = ()
    targets: Targets | None = None
    columns: tuple[Mapping[str, Any], ...] = ()
    fill: Fill | None = None
    train_names: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ()
    ordered: bool = False
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.train, self.test, self.classes))

    def __repr__(self) -> str:
        return shown.in_words(self, targets_of(self))

    def _repr_html_(self) -> str:
        return shown.in_html(self, targets_of(self))


def targets_of(dataset: Dataset) -> Targets:
    """What the targets of a data set are, by what it says or else by its y.

    Floats are numbers, or in columns of which each has a class's name distributions over classes;
    whole numbers are labels in columns, (N, K), and classes alone, (N,).
    """
    if dataset.targets is not None:
        return dataset.targets
    y = dataset.train["y"]
    if np.issubdtype(y.dtype, np.floating):
        return "classes" if y.ndim == 2 and dataset.classes else "numbers"
    return "classes" if y.ndim == 1 else "labels"
