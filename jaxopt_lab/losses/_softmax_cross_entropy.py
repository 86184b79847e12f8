"""Softmax cross-entropy."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Probability, checked
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.losses.pooling import log_of_mean_softmax
from jaxopt_lab.losses.responses import softmax
from jaxopt_lab.losses.samplers import categorical


@declare(unasked=("classes",), sampler=categorical, pool=log_of_mean_softmax, response=softmax)
@checked
def softmax_cross_entropy(
    outputs: jax.Array, labels: jax.Array, *, label_smoothing: Probability = 0.0
) -> jax.Array:
    """Cross-entropy of the softmax of logits, one value a sample.

    The loss of classification with exclusive classes.

        l = -sum_k q_k log softmax(z)_k,    q = (1 - s) y + s / K

    Computed in float32 or wider, and finite for logits of any finite size; one of -infinity rules
    its class out.

    Args:
      outputs: logits z, (B, K), any float dtype.
      labels: classes, (B,) integers in [0, K), or distributions y, (B, K). Not checked, as they may
        be traced: a class out of [0, K) gives the loss of the class with the largest logit.
      label_smoothing: s in [0, 1], the share of the label given to the uniform distribution.

    Returns:
      (B,), float32 or wider.

    Reference: Szegedy et al., 2016, https://arxiv.org/abs/1512.00567 (label smoothing).
    """
    logits = outputs.astype(accumulator_dtype(outputs.dtype))
    logits = logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    # So that neither a difference nor a sum of K of them is infinite, which times 0 would be NaN.
    logits = jnp.maximum(logits, jnp.finfo(logits.dtype).min / logits.shape[-1])
    if labels.ndim == logits.ndim - 1:
        # A comparison and a sum, which fuse with what is around them; a gather does not.
        hot = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.bool_)
        at_label = jnp.where(hot, logits, 0).sum(-1)
        total = 1.0
    else:
        target = labels.astype(logits.dtype)
        at_label = (target * logits).sum(-1)
        total = target.sum(-1)
    expected = (1 - label_smoothing) * at_label + label_smoothing * logits.mean(-1)
    weight = (1 - label_smoothing) * total + label_smoothing
    return weight * jax.nn.logsumexp(logits, axis=-1) - expected
