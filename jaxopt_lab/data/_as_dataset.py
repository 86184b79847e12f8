"""Data that Python has in hand: arrays, splits, or a source of samples."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxopt_lab.core.errors import InputError, told
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.rows import is_lazy
from jaxopt_lab.data.arrays import MEMBERS, brief_list, dataset_of
from jaxopt_lab.data.dataset import Dataset

SOURCE = "data"
FORMS = (
    "expected (x, y), (x, y, x_test, y_test), {'train': ..., 'test': ...}, a Dataset, or a source "
    "of pairs (x, y) with len() and []"
)

# What sample dictionaries call x and y, as those of Hugging Face do.
_KEYS = {
    "x": ("x", "image", "img", "images", "pixel_values", "features", "input", "inputs"),
    "y": ("y", "label", "labels", "fine_label", "class", "target", "targets"),
}
_SPLITS = ("train", "test")
_BESIDE = ("weight", "group")


def as_dataset(data: Any, *, classes: Sequence[str] = ()) -> Dataset:
    """Data as a `Dataset`, in whichever of its usual forms it is in.

    Args:
      data: a `Dataset`; `(x, y)`; `(x, y, x_test, y_test)`; `((x, y), (x_test, y_test))`; arrays by
        name, `{"x": ..., "y": ...}`, as `npz` names them; splits by name, `{"train": ...,
        "test": ...}`, each a pair, a mapping or a source; or a source by itself: an object with
        `len()` and `[i]` that gives a pair `(x, y)` or a dictionary of one sample, as those of
        PyTorch and Hugging Face are. x is (N, ...) and y (N,) or (N, K), of NumPy or of what it can
        read; what they may hold is as in `npz`. A source is read whole.
      classes: names of the classes that y is of; () for those that y holds, or that a source says
        in `classes` or `features`. Whole numbers that are all names of classes are taken by name.

    Returns:
      A `Dataset`; its `test` is None where no test split was given.

    Raises:
      InputError: for anything else, or arrays that do not fit each other or are no data.
    """
    if isinstance(data, Dataset):
        return data
    arrays, names = _arrays(data)
    names = tuple(classes) or names
    if names and "classes" not in arrays:
        arrays["classes"] = np.asarray(names, str)
    if "classes" in arrays:
        arrays |= {
            k: _by_name(arrays[k], arrays["classes"]) for k in ("y", "y_test") if k in arrays
        }
    found = dataset_of(arrays, SOURCE, fingerprint=_fingerprint(arrays))
    return replace(found, ordered=False)  # whoever has the rows in hand has them in order


def _arrays(data: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays by the names of `MEMBERS`, and the names of the classes where they are said."""
    if isinstance(data, Mapping) and set(data) & set(_SPLITS):
        if unknown := [name for name in data if name not in _SPLITS]:
            raise InputError(
                f"{SOURCE}: unknown split {unknown[0]!r}: splits are 'train' and 'test'; of train "
                "a share is held out, [data] validation"
            )
        if "train" not in data:
            raise InputError(f"{SOURCE}: there is no split 'train', only {brief_list(list(data))}")
        train, names = _split(data["train"], "train")
        if "test" not in data:
            return train, names
        test, _ = _split(data["test"], "test")
        return train | {f"{k}_test": v for k, v in test.items() if k not in ("group",)}, names
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(p, tuple) for p in data):
        return _arrays(dict(zip(_SPLITS, data, strict=True)))
    if isinstance(data, tuple) and len(data) == 4:
        names = ("x", "y", "x_test", "y_test")
        return {n: _array(v, n) for n, v in zip(names, data, strict=True)}, ()
    return _split(data, "")


def _split(data: Any, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """One split as arrays."""
    where = f" of {name}" if name else ""
    if isinstance(data, tuple) and len(data) in (2, 3):
        return {n: _array(v, n + where) for n, v in zip(("x", "y", "weight"), data)}, ()  # noqa: B905
    if isinstance(data, Mapping):
        known = ("x", "y", *_BESIDE) if name else MEMBERS
        named = _renamed(data, f"{SOURCE}{where}") if name else dict(data)
        if unknown := [key for key in named if key not in known]:
            hint = nearest(str(unknown[0]), known if name else (*_SPLITS, *known))
            text = f"{SOURCE}: unknown {unknown[0]!r}{where}{hint}; one of {brief_list(known)}"
            raise InputError(text if name else f"{text}, or of the splits 'train' and 'test'")
        return {n: _array(v, f"{n}{where}") for n, v in named.items()}, ()
    sized = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if not sized or isinstance(data, str | bytes | np.ndarray) or hasattr(data, "iloc"):
        raise InputError(f"{SOURCE}{where}: got {_what(data)}, {FORMS}")
    return _read_source(data, f"{SOURCE}{where}")


def _read_source(source: Any, where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Every sample of a source, in arrays."""
    count = len(source)
    if count == 0:
        raise InputError(f"{where}: {_what(source)} holds no samples")
    x, rest, keys = np.empty(0), {}, ()
    for i in range(count):
        sample = _sample(source, i, where)
        if i == 0:
            x, keys = np.empty((count, *sample["x"].shape), sample["x"].dtype), tuple(sample)
            rest = {key: [] for key in keys if key != "x"}
        row = sample["x"]
        if tuple(sample) != keys or (row.shape, row.dtype) != (x.shape[1:], x.dtype):
            raise InputError(
                f"{where}: sample {i:,} is x {row.shape} {row.dtype} with {', '.join(sample)}; "
                f"sample 0 is x {x.shape[1:]} {x.dtype} with {', '.join(keys)}: they must be alike"
            )
        x[i] = row
        for key, values in rest.items():
            values.append(sample[key])
    stacked = {key: _array(values, f"{key} of the samples") for key, values in rest.items()}
    return {"x": x} | stacked, _names_of(source)


def _sample(source: Any, i: int, where: str) -> dict[str, Any]:
    try:
        sample = source[i]
    except Exception as error:  # whatever the user's own code raises
        raise InputError(f"{where}: sample {i:,} of {_what(source)}: {told(error)}") from error
    if isinstance(sample, Mapping):
        sample = _renamed(sample, f"{where}: sample {i:,}")
    elif isinstance(sample, tuple | list) and len(sample) == 2:
        sample = dict(zip(("x", "y"), sample, strict=True))
    else:
        raise InputError(
            f"{where}: sample {i:,} is {_what(sample)}, expected a pair (x, y) or a dictionary"
        )
    found = {k: sample[k] for k in ("x", "y", *_BESIDE) if k in sample}
    return found | {"x": _array(found["x"], f"x of sample {i:,}")}


def _renamed(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """With x and y under these names, whatever they are called."""
    found = {}
    for name, others in _KEYS.items():
        there = [key for key in others if key in values]
        if not there:
            raise InputError(
                f"{where}: there is no {name} in {brief_list(list(values)) or 'it'}; name it "
                f"{others[0]!r}, or one of {', '.join(others[1:])}"
            )
        found[name] = values[there[0]]
    beside = {k: v for k, v in values.items() if k in _BESIDE}
    return found | beside


def _names_of(source: Any) -> tuple[str, ...]:
    """The classes of a source, as those of torchvision and of Hugging Face say them."""
    names = getattr(source, "classes", None)
    features = getattr(source, "features", None)
    if names is None and isinstance(features, Mapping):
        label = next((features[key] for key in _KEYS["y"] if key in features), None)
        names = getattr(label, "names", None)
    text = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return tuple(names) if text and names else ()


def _array(values: Any, what: str) -> Any:
    """An array of NumPy; one that is mapped stays so."""
    if is_lazy(values):
        return values
    try:
        array = np.asarray(values)
    except Exception as error:  # ragged lists, a tensor of another device
        raise InputError(f"{SOURCE}: {what} is no array: {told(error)}") from error
    if array.dtype.kind not in "biufUS" and array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind not in "biufUS":
        raise InputError(f"{SOURCE}: {what} holds {array.dtype}, expected numbers or text")
    return array


def _by_name(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Whole numbers as text, where all of them are names of classes."""
    if y.dtype.kind not in "iu" or y.ndim != 1:
        return y
    text = y.astype(str)
    return text if np.isin(np.unique(text), classes).all() else y


def _fingerprint(arrays: Mapping[str, Any]) -> str:
    """SHA-256 of all arrays, in hex; of a mapped one its first and last rows count."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(f"{name} {array.dtype} {array.shape};".encode())
        parts = [array[:100], array[-100:]] if is_lazy(array) else [array]
        for part in parts:
            whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()


def _what(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value):,}"
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"
