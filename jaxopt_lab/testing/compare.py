"""Trees compared, with the promise that a difference breaks in the message, and where it is."""

from typing import Any

import jax
import numpy as np

from jaxopt_lab.core.tree import path_name


def holds(condition: Any, promise: str) -> None:
    """Raises where a condition is not true."""
    if not condition:
        raise AssertionError(promise)


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(path_name(path) or "the root", leaf) for path, leaf in leaves]


def _same_structure(found: Any, expected: Any, promise: str) -> None:
    a, b = jax.tree.structure(found), jax.tree.structure(expected)
    if a != b:
        here, there = (dict(_leaves(tree)) for tree in (found, expected))
        more, less = [p for p in here if p not in there], [p for p in there if p not in here]
        told = [f"{path} is there and should not be" for path in more[:1]]
        told += [f"{path} is not there" for path in less[:1]]
        raise AssertionError(f"{promise}: {', '.join(told) or f'the structure is {a}, not {b}'}")


def arrays_only(tree: Any, promise: str) -> None:
    """Every leaf is an array, and none a number of Python or another object."""
    for path, leaf in _leaves(tree):
        kind = type(leaf).__name__
        holds(hasattr(leaf, "dtype"), f"{promise}: at {path} there is a {kind}, {leaf!r}")


def alike(found: Any, expected: Any, promise: str) -> None:
    """Structure, shapes and dtypes are the same."""
    _same_structure(found, expected, promise)
    # Equal leaf for leaf: an NNX state compares its own metadata, too.
    for (path, x), y in zip(_leaves(found), jax.tree.leaves(expected), strict=True):
        a, b = ((tuple(leaf.shape), leaf.dtype) for leaf in (x, y))
        told = " instead of ".join(f"{dtype}{list(shape)}" for shape, dtype in (a, b))
        holds(a == b, f"{promise}: at {path} there is {told}")


def close(found: Any, expected: Any, promise: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Structure is the same, and every number within the tolerance; equal without one."""
    _same_structure(found, expected, promise)
    for (path, x), y in zip(_leaves(found), jax.tree.leaves(expected), strict=True):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        a, b = np.asarray(x), np.asarray(y)
        holds(a.shape == b.shape, f"{promise}: at {path} the shape is {a.shape}, not {b.shape}")
        a, b = (z.astype(np.float64) if z.dtype.kind in "fV" else z for z in (a, b))
        wrong = ~(np.isclose(a, b, rtol, atol, equal_nan=True) if rtol or atol else _equal(a, b))
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            place = f"{path}{list(index)}" if index else path
            numbers = f"{a[index]:.8g}, not {b[index]:.8g}"
            rest = f"; {wrong.sum()} of {wrong.size} numbers differ" if wrong.size > 1 else ""
            raise AssertionError(f"{promise}: at {place} it is {numbers}{rest}")


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | ((a != a) & (b != b))


def finite(tree: Any, promise: str) -> None:
    """No floating number is NaN or infinite."""
    for path, x in _leaves(tree):
        if jax.dtypes.issubdtype(x.dtype, np.inexact):
            wide = np.complex128 if jax.dtypes.issubdtype(x.dtype, np.complexfloating) else float
            holds(np.isfinite(np.asarray(x).astype(wide)).all(), f"{promise}: not so at {path}")
