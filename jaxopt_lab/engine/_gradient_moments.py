"""The mean and the spread of the gradients of many samples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.types import ModelState, Params, Split
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.objective import Objective

# Samples that are looked at, and how many of them at a time.
SAMPLES, CHUNK = 8192, 32

Moments = tuple[Params, jax.Array, int]


def gradient_moments(
    forward: Forward, objective: Objective, split: Split
) -> Callable[[Params, ModelState], Moments]:
    """`(params, model_state) -> (mean of g_i, sum of |g_i - mean|^2, how many)`, for a noise scale.

    g_i is the gradient of one sample's loss in evaluation mode, so that no sample sees another.
    Chunks are merged without a difference of large numbers, by Chan, Golub and LeVeque, 1983,
    https://doi.org/10.1080/00031305.1983.10483115.

    Args:
      forward: the model.
      objective: its loss.
      split: at most the first 8,192 samples of it are looked at.

    Returns:
      The function, compiled.
    """
    count = min(SAMPLES, len(split["y"])) // CHUNK * CHUNK or 1
    size = min(CHUNK, count)
    chunks = {k: v[:count].reshape(-1, size, *v.shape[1:]) for k, v in split.items()}

    @jax.jit
    def moments(params, model_state):
        def gradient(sample):
            one = {name: value[None] for name, value in sample.items()}

            def loss_of(params):
                return objective.each(forward.evaluate(params, model_state, one["x"]), one)[0]

            return jax.grad(loss_of)(params)

        def add(carry, chunk):
            mean, spread, seen = carry
            grads = jax.vmap(gradient)(chunk)
            here = jax.tree.map(lambda g: g.mean(0), grads)
            around = jax.tree.map(lambda g, m: g - m[None], grads, here)
            apart = jax.tree.map(jnp.subtract, here, mean)
            share = size / (seen + size)
            mean = jax.tree.map(lambda m, d: m + share * d, mean, apart)
            spread += optax.tree.norm(around, squared=True)
            spread += seen * share * optax.tree.norm(apart, squared=True)
            return (mean, spread, seen + size), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.scan(add, (zeros, jnp.zeros([]), jnp.zeros([])), chunks)[0][:2]

    return lambda params, model_state: (*moments(params, model_state), count)
