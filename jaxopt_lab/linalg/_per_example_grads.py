"""The gradient of every sample's loss."""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_lab.core.types import Params


def per_example_grads(f: Callable[[Params, Any], jax.Array], params: Params, batch: Any) -> Params:
    """The gradient of every sample's loss.

        g_i = d f_i / d theta,    f_i of the i-th sample alone, as a batch of one

    What a model mixes between samples, such as the statistics of batch normalization, is not
    defined here; what it draws, such as dropout, it draws for a batch of one, the same for all.

    Args:
      f: `(params, batch) -> (B,)`.
      params: where; a pytree of floating arrays.
      batch: a pytree of arrays whose leading axis is B.

    Returns:
      A pytree as `params`, each leaf with a leading axis of B: B times their memory.

    Reference: Dangel et al., 2020, https://arxiv.org/abs/1912.10985
    """

    def of_one(params, sample):
        return f(params, jax.tree.map(lambda x: x[None], sample))[0]

    return jax.vmap(jax.grad(of_one), (None, 0))(params, batch)
