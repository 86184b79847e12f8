"""Derivatives through steps are finite and right where a gradient is exactly zero."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import OPTIMIZERS as CASES
from jax.flatten_util import ravel_pytree

from jaxopt_lab import control
from jaxopt_lab.compat import keras, torch
from jaxopt_lab.optimizers import OPTIMIZERS, adagrad, adam, rmsprop, sgd

# Of rate -> transformation; of the twins those with a step of their own.
METHODS = {
    **OPTIMIZERS,
    "rmsprop, centered": functools.partial(rmsprop, centered=True),
    "keras.Adam": keras.Adam,
    "keras.SGD, clipnorm": functools.partial(keras.SGD, clipnorm=0.1),
    "torch.RMSprop": torch.RMSprop,
    "torch.RMSprop, centered": functools.partial(torch.RMSprop, centered=True),
    "torch.Adagrad": torch.Adagrad,
    "torch.Adam, amsgrad": functools.partial(torch.Adam, amsgrad=True),
    "torch.NAdam": torch.NAdam,
    "clip_by_norm": lambda rate: optax.chain(control.clip_by_norm(0.1), sgd(rate)),
    "clip_by_global_norm": lambda rate: optax.chain(control.clip_by_global_norm(0.1), sgd(rate)),
}

# Whose formulas the others share.
NAMED = {"adam", "adamw", "nadam", "radam", "muon", "rmsprop", "adagrad", "lamb", "prodigy"}
NAMED |= {"clip_by_norm", "clip_by_global_norm", "torch.Adagrad"}

# A dead unit, and a dead layer.
ALIVE = {"w": np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]), "dead": np.zeros((2, 3))}
START = {"w": np.arange(6.0).reshape(2, 3) / 3 - 0.5, "dead": np.ones((2, 3))}


def after_two_steps(make, start, rate):
    """A number made of the parameters after two steps."""
    params, tx = start, make(rate)
    state = tx.init(params)
    for t in range(2):
        grads = jax.tree.map(lambda on, p, t=t: on * jnp.cos(p + t), ALIVE, params)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return sum(jnp.sum(p**2) for p in jax.tree.leaves(params))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in NAMED else pytest.mark.slow) for n in METHODS]
)
def test_meta_gradients_are_those_of_finite_differences(name):
    make, rate = METHODS[name], CASES.get(name, {}).get("learning_rate", 0.1)
    start = jax.tree.map(lambda p: jnp.asarray(p, float), START)
    at, unravel = ravel_pytree((start, jnp.asarray(rate, float)))
    value = lambda x: after_two_steps(make, *unravel(x))  # noqa: E731
    slope = jax.grad(value)(at)
    assert np.isfinite(slope).all()
    along = np.cos(np.arange(at.size))
    difference = (value(at + 1e-6 * along) - value(at - 1e-6 * along)) / 2e-6
    # What a difference of 1e-6 leaves of sixteen digits.
    np.testing.assert_allclose(slope @ along, difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("tx", "slope"),
    [
        (adam(0.1, eps=1e-3), -0.1 / 1e-3),
        (adagrad(0.1, eps=1e-4), -0.1 / 1e-2),
        (rmsprop(0.1, eps=1e-4), -0.1 / 1e-2),
        (control.clip_by_norm(1.0), 1.0),
        (control.clip_by_global_norm(1.0), 1.0),
    ],
)
def test_a_step_where_the_gradient_passes_zero(tx, slope):
    """Of g / (|g| + eps) the derivative at 0 is 1 / eps."""
    of_gradient = jax.grad(lambda g: tx.update(g, tx.init(jnp.zeros([])))[0])
    np.testing.assert_allclose(of_gradient(jnp.zeros([])), slope, rtol=1e-6)
