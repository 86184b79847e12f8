"""Poisson negative log-likelihood."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.pooling import log_of_mean_exp
from jaxopt_lab.losses.responses import exponential
from jaxopt_lab.losses.samplers import poisson
from jaxopt_lab.losses.targets import targets


@declare(targets=("numbers",), sampler=poisson, pool=log_of_mean_exp, response=exponential)
def poisson_nll(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Negative log-likelihood of counts whose logarithm of the rate is given, one value a sample.

    The loss of regression on counts: visits, photons, words.

        l = sum_k e^z_k - y_k z_k        (without log y_k!, which no output changes)

    Args:
      outputs: z, logarithms of the rates, (B, K), or (B,) for one; any float dtype, computed in
        float32 or wider.
      labels: y >= 0 of the outputs' shape, or for one output (B,).

    Returns:
      (B,), float32 or wider; negative where a count is large and expected.

    Raises:
      InputError: where the labels' shape does not fit.

    Differs from: PyTorch's `PoissonNLLLoss`, which is also a mean over the K outputs; Keras'
    `Poisson`, whose outputs are rates and not their logarithms.

    Reference: Nelder and Wedderburn, 1972, https://doi.org/10.2307/2344614.
    """
    z, y = targets(outputs, labels, "poisson_nll")
    return (jnp.exp(z) - y * z).sum(-1)
