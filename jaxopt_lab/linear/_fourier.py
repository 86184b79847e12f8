"""Random Fourier features."""

import math

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, Positive, checked
from jaxopt_lab.core.tree import accumulator_dtype


@checked
@full_precision
def fourier(
    key: jax.Array, X: jax.Array, *, features: Count = 500, length_scale: Positive = 1.0
) -> jax.Array:
    """Random Fourier features: a linear model of them is a Gaussian-kernel machine.

    Their inner products approach the kernel as 1/sqrt(D). Map training and test data with the same
    key: it alone says which frequencies are drawn.

        phi(x) = sqrt(2/D) cos(W x + u),    W ~ N(0, 1/l^2),    u ~ U(0, 2 pi)
        E[phi(x) phi(x')] = exp(-||x - x'||^2 / (2 l^2))

    Args:
      key: a PRNG key.
      X: (N, d), standardized features; computed in their dtype, in float32 where that is narrower.
      features: D, static.
      length_scale: l > 0, the distance over which the kernel falls, in the units of X; a number or
        a traced array.

    Returns:
      (N, D), float32 or wider.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where X is not 2-D.

    Differs from: scikit-learn's `RBFSampler`, whose gamma is 1/(2 l^2).

    Reference: Rahimi and Recht, 2007,
    https://papers.nips.cc/paper/3182-random-features-for-large-scale-kernel-machines.
    """
    X = jnp.asarray(X)
    if X.ndim != 2:
        raise InputError(f"fourier: X has shape {X.shape}, expected (N, d)")
    X = X.astype(accumulator_dtype(X.dtype))
    frequency_key, phase_key = jax.random.split(key)
    frequencies = jax.random.normal(frequency_key, (X.shape[1], features), X.dtype) / length_scale
    phases = jax.random.uniform(phase_key, (1, features), X.dtype, maxval=2 * math.pi)
    return math.sqrt(2 / features) * jnp.cos(X @ frequencies + phases)
