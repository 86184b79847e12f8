"""Spreads that are small beside their means keep their digits in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import steps

from jaxopt_lab.compat import keras, torch
from jaxopt_lab.optimizers import rmsprop

GRADS = (1000 + np.random.default_rng(0).normal(size=(200, 3))).astype(np.float32)


def last_step(tx):
    """The update of the last of these gradients."""

    def body(state, g):
        update, state = tx.update(g, state)
        return state, update

    return jax.jit(lambda g: jax.lax.scan(body, tx.init(g[0]), g)[1][-1])(jnp.asarray(GRADS))


def test_centered_rmsprop_equals_double_precision():
    found = last_step(rmsprop(0.1, eps=1e-6, centered=True))
    wide = GRADS.astype(np.float64)
    (before,) = steps.path(steps.rmsprop, [wide[0] * 0], wide[:-1, None], **WIDE)
    (after,) = steps.path(steps.rmsprop, [wide[0] * 0], wide[:, None], **WIDE)
    # The mean of 1000 is rounded to 3e-5, beside a spread of 1.
    np.testing.assert_allclose(found, after - before, rtol=1e-3)


WIDE = {"learning_rate": 0.1, "eps": 1e-6, "centered": True}


@pytest.mark.parametrize("twin", [keras.RMSprop, torch.RMSprop])
def test_the_twins_keep_the_formula_of_their_library(twin):
    """Whose steps are far off here: what is left of E - M^2 is rounding."""
    tx = twin(0.1, 0.9, centered=True, **{"epsilon" if twin is keras.RMSprop else "eps": 1e-6})
    ours, theirs = last_step(rmsprop(0.1, eps=1e-6, centered=True)), last_step(tx)
    assert np.isfinite(theirs).all()
    assert (np.abs(theirs / ours - 1) > 0.01).any()
