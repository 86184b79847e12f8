"""Decoupled weight decay: theta -= eta lambda theta, of the parameters that the mask says."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.optimizers import (
    OPTIMIZERS,
    adam,
    adamw,
    nesterov_iterate,
    schedule_free_average,
)

PARAMS = {
    "conv": {"kernel": jnp.full((3, 3, 1, 2), 2.0), "bias": jnp.full(2, 2.0)},
    "scale": jnp.full(4, 2.0),
    "empty": {},
}
GRADS = jax.tree.map(lambda p: jnp.cos(jnp.arange(p.size)).reshape(p.shape), PARAMS)
EVERYWHERE = {"conv": {"kernel": True, "bias": True}, "scale": True}
# The mask of lars says also what is rescaled, so its decay cannot be told apart.
DECAYING = [
    n for n, f in OPTIMIZERS.items() if "mask" in inspect.signature(f).parameters and n != "lars"
]


def shrunk(tx, base, **extra):
    """Which leaves the decay moves, beyond the same method without it."""
    moved, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS, **extra)
    alone, _ = base.update(GRADS, base.init(PARAMS), PARAMS, **extra)
    return jax.tree.map(lambda a, b: bool(jnp.any(a != b)), moved, alone)


@pytest.mark.parametrize("name", DECAYING)
@pytest.mark.parametrize(
    ("mask", "kernel", "bias", "scale"),
    [
        (None, True, False, False),
        (True, True, True, True),
        ({"conv": {"kernel": False, "bias": True}, "scale": True, "empty": {}}, False, True, True),
        ({"conv": True, "scale": False, "empty": True}, True, True, False),
        (lambda params: jax.tree.map(lambda p: p.shape == (4,), params), False, False, True),
    ],
    ids=["none", "all", "tree", "prefix", "function"],
)
def test_the_mask_says_what_decays(name, mask, kernel, bias, scale):
    make = OPTIMIZERS[name]
    found = shrunk(make(0.1, weight_decay=0.5, mask=mask), make(0.1, weight_decay=0.0, mask=mask))
    assert found == {"conv": {"kernel": kernel, "bias": bias}, "scale": scale, "empty": {}}


@pytest.mark.parametrize("rate", [0.1, lambda step: 0.1 * (1 + step)])
@pytest.mark.parametrize("decay", [0.5, lambda step: 0.5 * (1 + step)])
def test_a_step_shrinks_by_eta_lambda(rate, decay):
    tx = adamw(rate, weight_decay=decay, mask=True)
    base = adam(rate)
    state, alone = tx.init(PARAMS), base.init(PARAMS)
    for step in range(2):
        scale = jnp.array(0.25)
        u, state = tx.update(GRADS, state, PARAMS, learning_rate_scale=scale)
        v, alone = base.update(GRADS, alone, PARAMS, learning_rate_scale=scale)
        eta = 0.25 * (rate(step) if callable(rate) else rate)
        lam = decay(step) if callable(decay) else decay
        jax.tree.map(
            lambda u, v, p, shrink=eta * lam: np.testing.assert_allclose(
                u - v, -shrink * p, rtol=1e-5
            ),
            u,
            v,
            PARAMS,
        )


def test_a_mask_over_masked_parameters():
    mask = {"conv": {"kernel": True, "bias": True}, "scale": True, "empty": {}}
    tx = optax.masked(
        adamw(0.1, weight_decay=0.5, mask=mask),
        {"conv": {"kernel": True, "bias": False}, "scale": True, "empty": {}},
    )
    base = optax.masked(
        adamw(0.1, weight_decay=0.0, mask=mask),
        {"conv": {"kernel": True, "bias": False}, "scale": True, "empty": {}},
    )
    found = shrunk(tx, base)
    assert found == {"conv": {"kernel": True, "bias": False}, "scale": True, "empty": {}}


@pytest.mark.parametrize("name", DECAYING)
def test_parameters_are_needed(name):
    tx = OPTIMIZERS[name](0.1)
    with pytest.raises(InputError, match=rf"{name}: update\(.* needs params"):
        tx.update(GRADS, tx.init(PARAMS))


def test_a_negative_decay_is_rejected():
    with pytest.raises(ArgumentError, match="adamw: weight_decay must be "):
        adamw(0.1, weight_decay=-1e-4)


def test_no_method_decays_a_whole_number():
    """A matrix of them has the rank of what decays; accessors give it back as it is."""
    params = {"w": jnp.ones((2, 2)), "n": jnp.full((2, 2), 100_000)}
    grads = jax.tree.map(jnp.zeros_like, params)
    for name in (*DECAYING, "lars", "nesterov"):
        decay = {} if name == "nesterov" else {"weight_decay": 0.1}
        tx = OPTIMIZERS[name](0.1, **decay)
        updates, state = tx.update(grads, tx.init(params), params)
        after = optax.apply_updates(params, updates)
        if name.startswith("schedule_free"):
            after = schedule_free_average(state, after)
        if name == "nesterov":
            after = nesterov_iterate(state, after)
        np.testing.assert_array_equal(after["n"], params["n"])
        assert after["n"].dtype == params["n"].dtype
