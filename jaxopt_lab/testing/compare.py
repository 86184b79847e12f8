"""Trees compared, with the promise that a difference breaks in the message."""

from typing import Any

import jax
import numpy as np


def holds(condition: Any, promise: str) -> None:
    """Raises where a condition is not true."""
    if not condition:
        raise AssertionError(promise)


def shapes(tree: Any) -> Any:
    """The tree with `(shape, dtype)` in the place of every leaf."""
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


def alike(found: Any, expected: Any, promise: str) -> None:
    """Structure, shapes and dtypes are the same."""
    a, b = jax.tree.structure(found), jax.tree.structure(expected)
    holds(a == b, f"{promise}: the structure is {a}, not {b}")
    # Equal leaf for leaf: an NNX state compares its own metadata, too.
    x, y = (
        [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (found, expected)
    )
    holds(x == y, f"{promise}: shapes and dtypes are {x}, not {y}")


def close(found: Any, expected: Any, promise: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Structure is the same, and every number within the tolerance; equal without one."""
    a, b = jax.tree.structure(found), jax.tree.structure(expected)
    holds(a == b, f"{promise}: the structure is {a}, not {b}")

    def compare(x: Any, y: Any) -> None:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        x, y = np.asarray(x), np.asarray(y)
        if rtol or atol:
            x, y = (z.astype(np.float64) if z.dtype.kind in "fV" else z for z in (x, y))
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol, err_msg=promise)

    jax.tree.map(compare, found, expected)


def finite(tree: Any, promise: str) -> None:
    """No floating number is NaN or infinite."""
    floats = [x for x in jax.tree.leaves(tree) if jax.dtypes.issubdtype(x.dtype, np.floating)]
    holds(all(np.isfinite(np.asarray(x, np.float64)).all() for x in floats), promise)
