"""Which of several linear models to take, by how they do on samples that they have not seen."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.linear._r2 import r2
from jaxopt_lab.linear.model import LinearModel, predict
from jaxopt_lab.losses import accuracy


def score(model: LinearModel, X: jax.Array, y: jax.Array) -> jax.Array:
    """How good a model's predictions are: a scalar, better the higher.

    Accuracy where the labels are classes, R^2 where they are numbers.

    Args:
      model: from a solver; of many models by `jax.vmap(score, (0, None, None))`.
      X: features, (N, d).
      y: labels, (N,): integers for classes, floats for numbers.
    """
    z = predict(model, X)
    if jnp.issubdtype(y.dtype, jnp.inexact):
        return r2(z, y)
    if z.ndim == 1:
        return ((z > 0) == (y > 0)).mean()
    return accuracy(z, y).mean()


def best_strength(lams: np.ndarray, scores: np.ndarray) -> int:
    """The place of the lambda with the best score; of equal ones the largest lambda.

    Args:
      lams: (L,).
      scores: (L,), of the validation split; not finite where a model is not.

    Raises:
      InputError: where no score is finite.
    """
    if not np.isfinite(scores).any():
        raise InputError("linear: no lambda gave a finite score; give larger ones")
    best = np.flatnonzero(scores == np.nanmax(scores))
    return int(best[np.argmax(lams[best])])
