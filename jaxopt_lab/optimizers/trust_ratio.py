"""The layer-wise trust ratio of LARS and LAMB."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.norm import norms


def scale_by_trust_ratio(coefficient: float | jax.Array = 1.0) -> optax.GradientTransformation:
    """`u <- c (|theta| / |u|) u`, tensor by tensor; u where a norm is 0.

    Reference: `optax.scale_by_trust_ratio`. Differs from it: squares may overflow or underflow, and
    derivatives are finite where a norm is 0.
    """

    def rescaled(u, step, size):
        moves = (step.size > 0) & (size.size > 0)
        ratio = coefficient * size.size / jnp.where(moves, step.size, 1)
        unit = jnp.where(moves, step.inverse / size.inverse, 1)
        return unit * u * jnp.where(moves, ratio, 1)

    def update(updates, state, params=None):
        leaves, structure = jax.tree.flatten(updates)
        found = norms((updates, params))
        steps, sizes = found[: len(leaves)], found[len(leaves) :]
        return structure.unflatten(map(rescaled, leaves, steps, sizes)), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
