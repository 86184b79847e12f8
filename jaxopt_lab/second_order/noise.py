"""The gradient noise scale: how large a batch is worth its cost."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.types import Params


def noise_scale(mean: Params, spread: jax.Array, samples: int) -> jax.Array:
    """The batch size at which the gradient's noise is as large as the gradient itself.

    Batches much smaller average well: twice the batch is nearly twice the progress. Much larger
    ones are wasted. The mean and the sum of squares around it suffice, which can be gathered chunk
    by chunk (`engine.gradient_moments`):

        m = 1/n sum_i g_i,    s = sum_i |g_i - m|^2
        tr(Sigma) = s / (n - 1)
        |G|^2     = |m|^2 - tr(Sigma) / n
        B_simple  = tr(Sigma) / |G|^2

    Both estimates are unbiased; the ratio is not. The noise of m is in |m|^2, so it is taken out.

    Args:
      mean: m over n samples, g_i the gradient of one sample's loss.
      spread: s over all parameters, scalar. Not from sum_i |g_i|^2 - n |m|^2, which cancels where
        the gradients are alike.
      samples: n >= 1; with one sample no noise can be seen, and the scale is 0.

    Returns:
      A scalar in samples; infinite where |G|^2 <= 0, because the gradient cannot be told from its
      noise there, and 0 where there is no noise.

    Reference: McCandlish et al., 2018, https://arxiv.org/abs/1812.06162, section 2.2 and
    appendix A.1.
    """
    mean_square = jnp.asarray(optax.tree.norm(mean, squared=True))
    noise = spread / max(samples - 1, 1)
    return noise_to_signal(noise, mean_square - noise / samples)


def noise_to_signal(noise: jax.Array, signal: jax.Array) -> jax.Array:
    """`tr(Sigma) / |G|^2`; infinite where there is only noise, 0 where there is nothing."""
    known = signal > 0
    ratio = noise / jnp.where(known, signal, 1)
    return jnp.where(known, ratio, jnp.where(noise > 0, jnp.inf, 0.0))
