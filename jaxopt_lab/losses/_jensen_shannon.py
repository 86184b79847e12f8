"""Jensen-Shannon divergence between views."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import accumulator_dtype


def jensen_shannon(outputs: jax.Array) -> jax.Array:
    """Jensen-Shannon divergence of the predictions for V views of a sample, one value a sample.

    A penalty on predictions that change with augmentation: AugMix adds 12 times its mean, over one
    clean and two augmented views, to the cross-entropy of the clean one. It compares
    probabilities, not logits.

        p_v = softmax(z_v),    m = clip(1/V sum_v p_v, 1e-7, 1),    d = 1/V sum_v KL(p_v || m)

    A logit of -infinity rules its class out: 0 log 0 = 0, as in `softmax_cross_entropy`, in the
    gradient too.

    Args:
      outputs: logits z, (V, B, K), any float dtype, computed in float32 or wider.

    Returns:
      (B,), float32 or wider, in [0, log V], up to rounding; 0 where all views agree.

    Reference: Hendrycks et al., 2020, https://arxiv.org/abs/1912.02781, and its published code,
    which clips the mixture.
    """
    log_p = jax.nn.log_softmax(outputs.astype(accumulator_dtype(outputs.dtype)), axis=-1)
    p = jnp.exp(log_p)
    log_m = jnp.log(p.mean(0, keepdims=True).clip(1e-7, 1))
    # Where p is 0, a finite logarithm: 0 times infinity would be NaN, here and in the gradient.
    return (p * (jnp.where(p > 0, log_p, 0) - log_m)).sum(-1).mean(0)
