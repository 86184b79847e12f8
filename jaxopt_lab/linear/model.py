"""A linear model and its predictions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.precision import full_precision


class LinearModel(NamedTuple):
    """What every solver returns: `X w + b`.

    Attributes:
      coef: w, (d,) for one output, (d, T) for several.
      intercept: b, () or (T,); zero where none was asked for.
    """

    coef: jax.Array
    intercept: jax.Array


@full_precision
def predict(model: LinearModel, X: jax.Array) -> jax.Array:
    """Outputs of a linear model: predictions of a regression, scores or logits of a classifier.

    A score of two classes is above 0 for class 1; of several the largest says the class:
    `losses.accuracy(predict(model, X), y)` reads both.

        z = X w + b

    Args:
      model: from a solver; one of many, as `ridge_path` gives, by `jax.vmap(predict, (0, None))`.
      X: (N, d).

    Returns:
      (N,) or (N, T), in the wider dtype of both.
    """
    dtype = jnp.promote_types(model.coef.dtype, jnp.result_type(X))
    outputs = jnp.asarray(X, dtype) @ model.coef.astype(dtype)
    return outputs + jnp.broadcast_to(model.intercept.astype(dtype), outputs.shape)
