"""Arithmetic in float32 or wider, whatever the precision of parameters and gradients."""

from typing import Any

import jax

from jaxopt_lab.core.tree import accumulator_dtype


def widen(tree: Any) -> Any:
    """Leaves in the precision of their accumulators; those already so wide are left alone."""
    return jax.tree.map(lambda x: x.astype(accumulator_dtype(x.dtype)), tree)


def cast_like(tree: Any, like: Any) -> Any:
    """Leaves in the dtypes of the leaves of `like`."""
    return jax.tree.map(lambda x, y: x.astype(y.dtype), tree, like)
