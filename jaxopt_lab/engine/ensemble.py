"""Prediction by several sets of parameters at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from jaxopt_lab.core.types import Model


class Ensemble(NamedTuple):
    """A model's members as one model, for `make_evaluate`.

    Attributes:
      model: with `apply(variables, x, train=False)`; the variables given have a leading axis of M.
      pool: the members' outputs (M, B, K) as the ensemble's, (B, K).
    """

    model: Model
    pool: Callable[[jax.Array], jax.Array]

    def apply(self, variables: Any, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The pooled outputs, (B, K)."""
        del train
        return self.pool(jax.vmap(partial(self.model.apply, train=False), (0, None))(variables, x))


def ensemble_predict(
    apply: Callable[[Any, jax.Array], jax.Array], members: Any, x: jax.Array
) -> jax.Array:
    """The mean of the members' class probabilities, in one vmapped call.

    For snapshots of one run, and for the runs of a sweep.

        p(y | x) = 1/M sum_m softmax(f(x; theta_m))_y

    Args:
      apply: `(variables, x) -> logits`, (B, K).
      members: the variables of all members, each leaf with a leading axis of M >= 1.
      x: inputs, (B, ...), the same for every member.

    Returns:
      Probabilities, (B, K) float32.

    Reference: Lakshminarayanan et al., 2017, https://arxiv.org/abs/1612.01474; for snapshots Huang
    et al., 2017, https://arxiv.org/abs/1704.00109
    """
    logits = jax.vmap(apply, (0, None))(members, x)
    return jax.nn.softmax(logits.astype("float32"), axis=-1).mean(0)
