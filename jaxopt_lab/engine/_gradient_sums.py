"""The gradients of many samples, summed one by one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.types import Loss, ModelState, Params, Split
from jaxopt_lab.engine.forward import Forward

# Samples that are looked at, and how many of them at a time.
SAMPLES, CHUNK = 8192, 32

Sums = tuple[Params, jax.Array, int]


def gradient_sums(
    forward: Forward, loss: Loss, split: Split
) -> Callable[[Params, ModelState], Sums]:
    """`(params, model_state) -> (sum of g_i, sum of |g_i|^2, how many)`, for a noise scale.

    g_i is the gradient of one sample's loss in evaluation mode, so that no sample sees another.

    Args:
      forward: the model.
      loss: `(outputs, labels) -> (B,)`.
      split: at most the first 8,192 samples of it are looked at.

    Returns:
      The function, compiled.
    """
    count = min(SAMPLES, len(split["y"])) // CHUNK * CHUNK or 1
    size = min(CHUNK, count)
    chunks = {k: v[:count].reshape(-1, size, *v.shape[1:]) for k, v in split.items()}

    @jax.jit
    def sums(params, model_state):
        def gradient(x, y):
            def loss_of(params):
                return loss(forward.evaluate(params, model_state, x[None]), y[None])[0]

            return jax.grad(loss_of)(params)

        def add(carry, chunk):
            total, squares = carry
            grads = jax.vmap(gradient)(chunk["x"], chunk["y"])
            total = jax.tree.map(lambda t, g: t + g.sum(0), total, grads)
            return (total, squares + optax.tree.norm(grads, squared=True)), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.scan(add, (zeros, jnp.zeros([])), chunks)[0]

    return lambda params, model_state: (*sums(params, model_state), count)
