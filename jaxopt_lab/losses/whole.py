"""What metrics of a whole split share: its samples, some of which may not count."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import accumulator_dtype


def weights_of(outputs: jax.Array, weight: jax.Array | None) -> jax.Array:
    """The weight of each sample, (N,), 1 unless given."""
    dtype = accumulator_dtype(outputs.dtype)
    return jnp.ones(len(outputs), dtype) if weight is None else weight.astype(dtype)


def weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """The mean of (N, ...) over the samples; one of weight 0 is left out, whatever it is."""
    weight = weight.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.where(weight > 0, weight * values, 0).sum(0) / weight.sum()


def truths(outputs: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which classes or labels the outputs predict and which are there, (N, K) bool each.

    Of K > 1 classes the largest output is predicted and the largest entry of a distribution is
    there; of a single score, as of each label, that above 0. Labels are told from distributions by
    their dtype: these are floating.
    """
    if outputs.ndim == 1:
        outputs = outputs[:, None]
    classes = outputs.shape[1]
    if classes == 1:
        there = (labels.reshape(-1) > 0)[:, None]
        above = outputs > 0
        return jnp.concatenate([~above, above], 1), jnp.concatenate([~there, there], 1)
    if labels.ndim == 1 or jnp.issubdtype(labels.dtype, jnp.floating):
        best = labels if labels.ndim == 1 else labels.argmax(-1)
        hot = jnp.arange(classes)[None]
        return outputs.argmax(-1)[:, None] == hot, best[:, None] == hot
    return outputs > 0, labels > 0


def mean_of_defined(values: jax.Array) -> jax.Array:
    """The mean of those that are not NaN; NaN where there are none."""
    defined = ~jnp.isnan(values)
    count = defined.sum()
    total = jnp.where(defined, values, 0).sum()
    return jnp.where(count > 0, total / jnp.maximum(count, 1), jnp.nan)
