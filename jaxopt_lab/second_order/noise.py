"""The gradient noise scale: how large a batch is worth its cost."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.types import Params


def noise_scale(grad_sum: Params, square_sum: jax.Array, samples: int) -> jax.Array:
    """The batch size at which the gradient's noise is as large as the gradient itself.

    Batches much smaller average well: twice the batch is nearly twice the progress. Much larger
    ones are wasted. Two sums over samples suffice, so it is measured chunk by chunk:

        m = 1/n sum_i g_i
        tr(Sigma) = n / (n - 1) (1/n sum_i |g_i|^2 - |m|^2)
        |G|^2     = |m|^2 - tr(Sigma) / n
        B_simple  = tr(Sigma) / |G|^2

    Both estimates are unbiased; the ratio is not. The noise of m is in |m|^2, so it is taken out.

    Args:
      grad_sum: sum_i g_i over n samples, each the gradient of one sample's loss.
      square_sum: sum_i |g_i|^2 over all parameters, scalar.
      samples: n >= 1; with one sample no noise can be seen, and the scale is 0.

    Returns:
      A scalar in samples; infinite where |G|^2 <= 0, because the gradient cannot be told from its
      noise there, and 0 where there is no noise.

    Reference: McCandlish et al., 2018, https://arxiv.org/abs/1812.06162, section 2.2 and
    appendix A.1.
    """
    mean_square = jnp.asarray(optax.tree.norm(grad_sum, squared=True)) / samples**2
    noise = (square_sum / samples - mean_square) * samples / max(samples - 1, 1)
    return noise_to_signal(noise, mean_square - noise / samples)


def noise_to_signal(noise: jax.Array, signal: jax.Array) -> jax.Array:
    """`tr(Sigma) / |G|^2`; infinite where there is only noise, 0 where there is nothing."""
    known = signal > 0
    ratio = noise / jnp.where(known, signal, 1)
    return jnp.where(known, ratio, jnp.where(noise > 0, jnp.inf, 0.0))
