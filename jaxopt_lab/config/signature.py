"""What a run has to know of its data to go on, or to predict, without it."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_lab
from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.declare import Targets
from jaxopt_lab.core.errors import InputError

Origin = Literal["config", "python"]

FORMAT = 3
"""Of a run folder; a folder of another one is refused."""


def written_by() -> dict[str, Any]:
    """The format of what this version writes, and the version."""
    return {"format": FORMAT, "version": jaxopt_lab.__version__}


def require_format(values: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The values, where they are of the format that this version reads.

    Raises:
      InputError: naming the version that wrote them.
    """
    if values.get("format") != FORMAT:
        version = values.get("version", "unknown")
        raise InputError(
            f"{source}: written by jaxopt_lab {version}, whose folders have another "
            f"format ({values.get('format')}, this one reads {FORMAT}): train it again, or "
            "read it with that version"
        )
    return values


class Signature(NamedTuple):
    """The shapes, the names and the numbers of a run's data; `signature.json` holds it.

    Attributes:
      x_shape, y_shape: of one sample.
      x_dtype, y_dtype: names of NumPy's dtypes.
      classes: names of the classes, or of the labels; empty where the targets are numbers.
      mean, std: of the training split's channels, (C,) float32, of x in [0, 1] where it is bytes.
      samples: how many the run trains on.
      class_counts: sums of their weights by class, (K,); empty where the targets are none.
      targets: what y is: classes, labels or numbers.
      columns: of a table, how its columns became x; see `data.encoding`.
      fill: (F,) float32, what a NaN in each column of x becomes; None where none does.
      fingerprint: SHA-256 of the data that was read; empty of a published set.
      origin: "config" where the configuration names it, "python" where it was given from there.
    """

    x_shape: tuple[int, ...]
    x_dtype: str
    y_shape: tuple[int, ...]
    y_dtype: str
    classes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    samples: int
    class_counts: tuple[float, ...] = ()
    targets: Targets = "classes"
    columns: tuple[Mapping[str, Any], ...] = ()
    fill: np.ndarray | None = None
    fingerprint: str = ""
    origin: Origin = "config"

    def inputs(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Raw samples (B, ...) in the dtype that normalization expects.

        Raises:
          InputError: where a sample has another shape, or is out of the range of its dtype.
        """
        x = np.asarray(x) if isinstance(x, list | tuple | int | float) else x
        self.require_inputs(x)
        dtype = jnp.result_type(x)
        if self.fill is not None:
            x = jnp.where(jnp.isnan(x), self.fill[None], x)
        if self.x_dtype != "uint8":
            return jnp.asarray(x, jnp.promote_types(dtype, jnp.float32))
        whole = jnp.issubdtype(dtype, jnp.integer)
        return jnp.asarray(x, jnp.uint8 if whole else dtype)

    def require_inputs(self, x: Any, where: str = "apply") -> None:
        """Make sure that an array is one of raw samples (B, ...).

        Raises:
          InputError: as `inputs`; `where` is named.
        """
        shape, dtype = jnp.shape(x), jnp.result_type(x)
        if not shape or shape[1:] != self.x_shape:
            wanted = ", ".join(map(str, ("B", *self.x_shape)))
            raise InputError(f"{where}: expected x of shape ({wanted}), got {shape}")
        if self.x_dtype == "uint8" and dtype != jnp.uint8 and is_concrete(x):
            high = 255 if jnp.issubdtype(dtype, jnp.integer) else 1
            values = np.asarray(x, np.float64)
            if values.size and not (values.min() >= 0 and values.max() <= high):
                raise InputError(
                    f"{where}: {dtype} samples must be in [0, {high}], as the run was trained on "
                    f"bytes; got values from {values.min():g} to {values.max():g}"
                )

    def difference(self, other: "Signature") -> str | None:
        """What differs in another data set's signature, in words, or None."""
        # What says most comes first: the numbers follow from the files.
        for name in sorted(self._fields, key=lambda name: name in _NUMBERS):
            ours, theirs = getattr(self, name), getattr(other, name)
            # Sums may be taken in another order elsewhere.
            close = name in _NUMBERS and np.shape(ours) == np.shape(theirs) and ours is not None
            same = np.allclose(ours, theirs, rtol=1e-5) if close else _equal(ours, theirs)
            if not same and name == "fingerprint":
                return "its files are others: a name, a size or the content of one has changed"
            if not same:
                return f"{name} is {_brief(theirs)}, it was {_brief(ours)}"
        return None

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the version that wrote it."""
        return written_by() | {
            "x": {"shape": list(self.x_shape), "dtype": self.x_dtype},
            "y": {"shape": list(self.y_shape), "dtype": self.y_dtype},
            "classes": list(self.classes),
            # A float32 as the double that it is, which reads back to the bit.
            "normalization": {"mean": self.mean.tolist(), "std": self.std.tolist()},
            "samples": self.samples,
            "class_counts": list(self.class_counts),
            "targets": self.targets,
            "columns": list(self.columns),
            "fill": None if self.fill is None else self.fill.tolist(),
            "fingerprint": self.fingerprint,
            "origin": self.origin,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> "Signature":
        """Read what `to_json` gave.

        Raises:
          InputError: where another version wrote it, or something is missing.
        """
        require_format(values, source)
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
                class_counts=tuple(values["class_counts"]),
                # What runs of published data, before there was other, did not say.
                targets=values.get("targets") or _targets(np.dtype(values["y"]["dtype"])),
                columns=tuple(values.get("columns", ())),
                fill=_array(values.get("fill")),
                fingerprint=values.get("fingerprint", ""),
                origin=values.get("origin", "config"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{source}: damaged, {error!r}: restore it from a copy") from None


_NUMBERS = ("mean", "std", "fill")


def _targets(y: np.dtype) -> Targets:
    return "numbers" if np.issubdtype(y, np.floating) else "classes"


def _array(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values, np.float32)


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _equal(a: Any, b: Any) -> bool:
    arrays = isinstance(a, np.ndarray) or isinstance(b, np.ndarray)
    return np.array_equal(a, b) if arrays else a == b
