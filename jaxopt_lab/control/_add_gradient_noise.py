"""Noise on the gradient."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import NonNegative, Range, checked
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import accumulator_dtype

# Set apart from what else draws from a step's key.
STREAM = 0x6E6F6973


class AddGradientNoiseState(NamedTuple):
    """Steps taken."""

    count: jax.Array


@declare(given={"seed": "seed"})
@checked
def add_gradient_noise(
    seed: Annotated[int, Range(0)], *, eta: NonNegative = 0.01, gamma: NonNegative = 0.55
) -> optax.GradientTransformationExtraArgs:
    """Add Gaussian noise to the gradient, less and less of it.

    For very deep networks that start badly, and to leave sharp minima early. After clipping, so
    that the noise is not clipped.

        g <- g + N(0, sigma_t^2),    sigma_t^2 = eta / (1 + t)^gamma    at step t from 0

    On a complex gradient it is circular: sigma_t^2 is the mean of its squared size.

    The noise is drawn from the step's key where `update` is given one (`key=`), so that the lanes
    of a `vmap` differ; otherwise from the seed and the number of the step.

    Args:
      seed: a whole number >= 0 or a traced one; of no effect where `update` is given a key.
      eta: >= 0, the variance at step 0.
      gamma: >= 0, how fast it falls.

    Returns:
      A transformation; state `AddGradientNoiseState(count)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Neelakantan et al., 2015, https://arxiv.org/abs/1511.06807

    Differs from: `optax.add_noise` carries its key in its state.
    """

    def init(params):
        del params
        return AddGradientNoiseState(jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, *, key=None, **extra):
        del params, extra
        if key is None:
            key = jax.random.fold_in(jax.random.key(seed), state.count)
        key = jax.random.fold_in(key, STREAM)
        deviation = jnp.sqrt(eta / (1 + state.count.astype(float)) ** gamma)
        leaves, structure = jax.tree.flatten(updates)

        def noisy(g, key):
            noise = jax.random.normal(key, g.shape, accumulator_dtype(g.dtype))
            return (g + deviation * noise).astype(g.dtype)

        noise = [noisy(g, jax.random.fold_in(key, i)) for i, g in enumerate(leaves)]
        count = optax.safe_increment(state.count)
        return jax.tree.unflatten(structure, noise), AddGradientNoiseState(count)

    return transformation(init, update)
