"""Sharpness-aware minimization, first of a chain, beside other extra arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references.network import START, loss

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.optimizers import momentum, sam
from jaxopt_lab.testing.transformation import takes_numbers_and_names_what_is_missing

EXTRAS = {"value": jnp.array(1.0), "key": jax.random.key(0), "metrics": {}}


def gradient(step):
    return lambda params: jax.grad(loss)(params, step)


def by_hand(rho, rate, steps):
    p = START
    for step in range(steps):
        g = gradient(step)(p)
        norm = jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(g)))
        uphill = jax.tree.map(lambda p, g, norm=norm: p + rho * g / norm, p, g)
        p = jax.tree.map(lambda p, g: p - rate * g, p, gradient(step)(uphill))
    return p


def after(tx, steps):
    def body(carry, step):
        params, state = carry
        grad_fn = gradient(step)
        updates, state = tx.update(grad_fn(params), state, params, grad_fn=grad_fn, **EXTRAS)
        return (optax.apply_updates(params, updates), state), None

    run = jax.jit(lambda c: jax.lax.scan(body, c, jnp.arange(steps))[0])
    return run((START, tx.init(START)))[0]


def test_the_gradient_is_taken_uphill():
    found = after(optax.chain(sam(0.1), momentum(0.1, 0.0)), 10)
    expected = by_hand(0.1, 0.1, 10)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
    )
    plain = after(momentum(0.1, 0.0), 10)
    assert jnp.abs(found["w1"] - plain["w1"]).max() > 1e-3


def test_a_radius_may_be_traced_or_a_schedule():
    radii = jnp.array([0.0, 0.1])
    lanes = jax.vmap(lambda r: after(optax.chain(sam(r), momentum(0.1)), 5)["w1"])(radii)
    for radius, lane in zip(radii, lanes, strict=True):
        alone = after(optax.chain(sam(lambda step, r=radius: r), momentum(0.1)), 5)["w1"]
        np.testing.assert_allclose(lane, alone, rtol=1e-5, atol=1e-6)


def test_a_zero_gradient_stays_finite():
    tx = sam(0.1)
    zeros = jax.tree.map(jnp.zeros_like, START)
    updates, _ = tx.update(zeros, tx.init(START), START, grad_fn=lambda params: params)
    jax.tree.map(np.testing.assert_array_equal, updates, START)


def test_bfloat16_and_multi_steps():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), START)
    tx = optax.MultiSteps(optax.chain(sam(0.1), momentum(0.1)), 2)
    state = tx.init(params)
    for _ in range(2):
        updates, state = tx.update(
            params, state, params, grad_fn=lambda p: jax.tree.map(lambda x: 2 * x, p)
        )
    assert all(u.dtype == jnp.bfloat16 for u in jax.tree.leaves(updates))
    assert any(u.any() for u in jax.tree.leaves(updates))


def test_takes_numbers_and_names_what_is_missing():
    halved = lambda params: jax.tree.map(lambda p: p / 2, params)  # noqa: E731
    takes_numbers_and_names_what_is_missing(sam(0.1), grad_fn=halved)


def test_what_is_missing_is_said():
    tx = optax.chain(sam(0.1), momentum(0.1))
    with pytest.raises(InputError, match="sam: update needs the extra grad_fn"):
        tx.update(START, tx.init(START), START, **EXTRAS)
    with pytest.raises(InputError, match=r"sam: update\(.* needs params"):
        tx.update(START, tx.init(START), grad_fn=lambda p: p)
    with pytest.raises(ArgumentError, match="sam: rho must be >= 0"):
        sam(-0.1)


def test_the_gradient_function_is_given_whole_numbers_too():
    params = {"w": jnp.ones(2), "n": jnp.array(3)}
    grad_fn = jax.grad(lambda p: jnp.sum(p["w"] ** p["n"]), allow_int=True)
    tx = optax.chain(sam(0.5), momentum(0.1))
    updates, _ = tx.update(grad_fn(params), tx.init(params), params, grad_fn=grad_fn)
    uphill = 1 + 0.5 / np.sqrt(2)
    np.testing.assert_allclose(updates["w"], [-0.1 * 3 * uphill**2] * 2, rtol=1e-6)
    assert optax.apply_updates(params, updates)["n"] == 3


@pytest.mark.parametrize("size", [1e-20, 1e-30, 1e20, 5e37])
def test_the_radius_is_the_same_at_every_size_of_the_gradient(size):
    grad_fn = lambda p: jax.tree.map(lambda x: size * (x + 1), p)  # noqa: E731
    params = {"w": jnp.array([2.0, 3.0])}
    tx = sam(0.5)
    found, _ = tx.update(grad_fn(params), tx.init(params), params, grad_fn=grad_fn)
    np.testing.assert_allclose(found["w"], size * np.array([3.3, 4.4]), rtol=1e-6)
