"""The gradient noise scale of a sample of gradients."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.types import Params


def noise_scale(total: Params, squares: jax.Array, count: int) -> jax.Array:
    """tr(Sigma) / |G|^2, the batch size whose gradient is as much noise as signal.

    With g_i the gradients of n samples and m their mean, both parts without bias:

        tr(Sigma) = n / (n - 1) (mean |g_i|^2 - |m|^2),    |G|^2 = |m|^2 - tr(Sigma) / n

    Args:
      total: the sum of the gradients, a pytree.
      squares: the sum of their squared norms, scalar.
      count: n.

    Returns:
      A scalar, in samples: infinite where the noise of m hides G, as at a minimum.

    Reference: McCandlish et al., 2018, https://arxiv.org/abs/1812.06162, section 2.2.
    """
    mean2 = optax.tree.norm(total, squared=True) / count**2
    noise = (squares / count - mean2) * count / max(count - 1, 1)
    return noise_to_signal(noise, mean2 - noise / count)


def noise_to_signal(noise: jax.Array, signal: jax.Array) -> jax.Array:
    """Their ratio: infinite where there is noise alone, 0 where there is neither."""
    known = signal > 0
    ratio = noise / jnp.where(known, signal, 1)
    return jnp.where(known, ratio, jnp.where(noise > 0, jnp.inf, 0.0))
