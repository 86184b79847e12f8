"""Coefficient of determination."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError


def r2(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of the labels' variance that predictions explain.

    The score of a regression: 1 is perfect, 0 no better than the labels' mean, and below is worse.
    Classifiers have `losses.accuracy`, and `losses.squared_error(...).mean()` is the error itself.

        R^2 = 1 - sum_n (y_n - z_n)^2 / sum_n (y_n - mean(y))^2

    Args:
      outputs: predictions z, (N,) or (N, T).
      labels: y, of the same shape.

    Returns:
      A float32 scalar, or wider where the outputs are; the mean over T. Where labels do not vary
      1 if the predictions are exact, else 0, as scikit-learn's `r2_score`.

    Raises:
      InputError: where the shapes differ.

    Reference: Wright, 1921, Correlation and causation.
    """
    if jnp.shape(outputs) != jnp.shape(labels):
        shapes = f"outputs {jnp.shape(outputs)}, labels {jnp.shape(labels)}"
        raise InputError(f"r2: {shapes}, expected the same shape: give predict's, and y")
    dtype = jnp.promote_types(jnp.result_type(outputs), jnp.float32)
    z, y = jnp.asarray(outputs, dtype), jnp.asarray(labels, dtype)
    unexplained = ((y - z) ** 2).sum(0)
    spread = ((y - y.mean(0, keepdims=True)) ** 2).sum(0)
    share = unexplained / jnp.where(spread > 0, spread, 1)
    flat = jnp.where(unexplained > 0, 0.0, 1.0)
    return jnp.where(spread > 0, 1 - share, flat).mean()
