"""What a run has to know of its data to go on, or to predict, without it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import jaxopt_lab
from jaxopt_lab.core.errors import InputError

FORMAT = 2
"""Of a run folder; a folder of another one is refused."""


class Signature(NamedTuple):
    """The shapes, the names and the numbers of a run's data; `signature.json` holds it.

    Attributes:
      x_shape, y_shape: of one sample.
      x_dtype, y_dtype: names of NumPy's dtypes.
      classes: names of the classes; empty where the targets are numbers.
      mean, std: of the training split's channels, (C,) float32, of x in [0, 1] where it is bytes.
      samples: how many the run trains on.
    """

    x_shape: tuple[int, ...]
    x_dtype: str
    y_shape: tuple[int, ...]
    y_dtype: str
    classes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    samples: int

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the version that wrote it."""
        return {
            "format": FORMAT,
            "version": jaxopt_lab.__version__,
            "x": {"shape": list(self.x_shape), "dtype": self.x_dtype},
            "y": {"shape": list(self.y_shape), "dtype": self.y_dtype},
            "classes": list(self.classes),
            # A float32 as the double that it is, which reads back to the bit.
            "normalization": {"mean": self.mean.tolist(), "std": self.std.tolist()},
            "samples": self.samples,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> "Signature":
        """Read what `to_json` gave.

        Raises:
          InputError: where another version wrote it, or something is missing.
        """
        version = values.get("version", "unknown")
        if values.get("format") != FORMAT:
            raise InputError(
                f"{source}: written by jaxopt_lab {version}, whose run folders have another format "
                f"({values.get('format')}, this one reads {FORMAT}): train it again, or read it "
                "with that version"
            )
        try:
            return cls(
                x_shape=tuple(values["x"]["shape"]),
                x_dtype=str(np.dtype(values["x"]["dtype"])),
                y_shape=tuple(values["y"]["shape"]),
                y_dtype=str(np.dtype(values["y"]["dtype"])),
                classes=tuple(values["classes"]),
                mean=np.asarray(values["normalization"]["mean"], np.float32),
                std=np.asarray(values["normalization"]["std"], np.float32),
                samples=int(values["samples"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{source}: damaged, {error!r}: restore it from a copy") from None
