"""Data as a solver wants it: checked, in one dtype; and its model on the data as given."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.linear.model import LinearModel


@jax.jit
def _all_finite(x: jax.Array) -> jax.Array:
    return jnp.all((0 * x).sum(0) == 0)  # sums of columns vectorize, and 0 inf is NaN


def check_data(method: str, X: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    """Features and labels as arrays that fit each other: X as float32 or wider, y as it is.

    Raises:
      InputError: where they do not, or concrete ones hold what is not finite.
    """
    X, y = _numbers(method, "X", X), _numbers(method, "y", y)
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(
            f"{method}: X has shape {X.shape}, expected (N, d) with N and d of 1 or more; "
            "X[:, None] makes one feature of a vector"
        )
    if y.ndim not in (1, 2) or len(y) != len(X) or 0 in y.shape:
        raise InputError(
            f"{method}: y has shape {y.shape}, expected ({len(X)},) or ({len(X)}, T): "
            f"one row for each of the {len(X)} rows of X"
        )
    for name, values in (("X", X), ("y", y)):
        if is_concrete(values):
            with jax.ensure_compile_time_eval():
                if not _all_finite(values):
                    finite = jnp.isfinite(values).reshape(len(values), -1)
                    row = int(jnp.argmin(finite.all(1)))
                    raise InputError(
                        f"{method}: {name} holds NaN or infinity, first in row {row}; "
                        "drop such rows or fill them in"
                    )
    return X.astype(accumulator_dtype(X.dtype)), y


def _numbers(method: str, name: str, values: Any) -> jax.Array:
    """An array of real numbers."""
    remedy = ""
    if isinstance(values, jax.Array):
        kind = values.dtype
    else:
        try:
            kind = np.asarray(values).dtype
        except jax.errors.TracerArrayConversionError:  # a list of traced numbers
            kind = jnp.result_type(*jax.tree.leaves(values))
        except ValueError as error:
            raise InputError(f"{method}: {name} is no array: {error}") from None
    if name == "y" and kind.kind in "OUSV":
        remedy = "; of names, names, y = np.unique(y, return_inverse=True) makes classes"
    if not (jnp.issubdtype(kind, jnp.bool_) or jnp.isdtype(kind, ("integral", "real floating"))):
        raise InputError(f"{method}: {name} has dtype {kind}, expected real numbers{remedy}")
    with jax.ensure_compile_time_eval():  # inside jit constants stay concrete
        return jnp.asarray(values)


def check_strength(method: str, lam: Any, dtype: Any, *, many: bool = False) -> jax.Array:
    """lambda as an array, a scalar or (L,); NaN for a negative one that is traced.

    Raises:
      InputError: where its rank is another, or a concrete one is negative.
    """
    if is_concrete(lam):
        with jax.ensure_compile_time_eval():
            lam = jnp.asarray(lam, dtype)
            if not jnp.all(lam >= 0):
                raise InputError(f"{method}: lambda must be >= 0, got {float(lam.min()):g}")
    if jnp.ndim(lam) != many:
        several = "jax.vmap or ridge_path" if method == "ridge" else "jax.vmap"
        wanted = "(L,); ridge takes one" if many else f"one number; {several} takes many"
        raise InputError(f"{method}: lambda has shape {jnp.shape(lam)}, expected {wanted}")
    lam = jnp.asarray(lam, dtype)
    return jnp.where(lam >= 0, lam, jnp.nan)


def uncentered(
    w: jax.Array, X_mean: jax.Array, y_mean: jax.Array, shape: tuple[int, ...]
) -> LinearModel:
    """The model on the data as given; `w` is (d, T), `shape` that of y without its rows."""
    intercept = y_mean - X_mean @ w
    return LinearModel(w.reshape(len(w), *shape), intercept.reshape(shape))
