"""A short path of an optimizer: where it starts, its gradients, and where it comes to."""

import jax
import numpy as np
import optax

DRAWS = np.random.default_rng(0)
PARAMS = [DRAWS.normal(size=(2, 3)), DRAWS.normal(size=3)]
GRADS = [DRAWS.normal(size=(8, 2, 3)) + 1, DRAWS.normal(size=(8, 3)) + 1]


def after(tx, params, grads):
    """The parameters after all gradients."""

    def body(carry, g):
        params, state = carry
        updates, state = tx.update(g, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(body, (params, tx.init(params)), grads)[0][0]
