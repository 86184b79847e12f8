"""What the methods from optax have beyond the family: accessors, and faults of optax's mended."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references.network import START, falling, loss

from jaxopt_lab import optimizers
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.optimizers import (
    muon,
    prodigy,
    schedule_free_adamw,
    schedule_free_average,
    schedule_free_sgd,
)


def after(tx, steps, params=START):
    def body(carry, t):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, t), state, params)
        return (optax.apply_updates(params, updates), state), None

    run = jax.jit(lambda c: jax.lax.scan(body, c, jnp.arange(steps))[0])
    return run((params, tx.init(params)))


def test_schedule_free_sgd_evaluates_at_the_mean_of_its_iterates():
    rate, beta = 0.3, 0.9
    tx = schedule_free_sgd(rate, beta)
    y, state = START, tx.init(START)
    z, seen = START, []
    for t in range(20):
        grads = jax.grad(loss)(y, t)
        z = jax.tree.map(lambda z, g: z - rate * g, z, grads)
        seen.append(z)
        updates, state = tx.update(grads, state, y)
        y = optax.apply_updates(y, updates)
    mean = jax.tree.map(lambda *zs: sum(zs) / len(zs), *seen)
    found = schedule_free_average(state, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, mean)


def test_schedule_free_adamw_evaluates_where_optax_does():
    params, state = after(schedule_free_adamw(0.02), 100)
    other, other_state = after(optax.contrib.schedule_free_adamw(0.02), 100)
    found = schedule_free_average(state, params)
    expected = optax.contrib.schedule_free_eval_params(other_state, other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-6), found, expected)
    assert jnp.abs(found["w1"] - params["w1"]).max() > 1e-3


def test_the_average_is_found_in_the_state_of_a_chain():
    tx = optax.chain(optax.clip_by_global_norm(1.0), schedule_free_sgd(0.1))
    params, state = after(tx, 3)
    whole, alone = (schedule_free_average(s, params) for s in (state, state[1]))
    jax.tree.map(np.testing.assert_array_equal, whole, alone)
    with pytest.raises(InputError, match="has no Schedule-Free method"):
        schedule_free_average(optax.sgd(0.1).init(params), params)


def test_schedule_free_weighs_a_step_with_its_own_rate():
    tx = schedule_free_sgd(lambda step: jnp.where(step < 3, 0.0, 0.1))
    _, state = after(tx, 3)
    assert state.inner.weight_sum == 0
    _, state = after(tx, 4)
    np.testing.assert_allclose(state.inner.weight_sum, 0.01, rtol=1e-5)


def test_prodigy_survives_a_first_step_without_rate_or_gradient():
    tx = prodigy(lambda step: step / 10)
    params, state = after(tx, 200)
    assert all(jnp.isfinite(p).all() for p in jax.tree.leaves(params))
    assert state.inner.estim_lr > 1e-3
    frozen = jax.tree.map(jnp.zeros_like, START)
    updates, state = tx.update(frozen, tx.init(START), START)
    updates, state = tx.update(jax.grad(loss)(START, 0), state, START)
    assert all(jnp.isfinite(u).all() for u in jax.tree.leaves(updates))
    # optax's does not survive, or this test shows nothing.
    other = optax.contrib.prodigy(1.0)
    updates, _ = other.update(frozen, other.init(START), START)
    assert jnp.isnan(updates["w1"]).any()


def test_muon_takes_a_convolution_kernel_as_the_matrix_it_is():
    key = jax.random.key(0)
    kernel = jax.random.normal(key, (3, 3, 2, 4))
    flat = kernel.reshape(18, 4)
    tx = muon(0.1)
    found, _ = tx.update({"k": kernel}, tx.init({"k": kernel}), {"k": kernel})
    expected, _ = tx.update({"k": flat}, tx.init({"k": flat}), {"k": flat})
    np.testing.assert_allclose(found["k"].reshape(18, 4), expected["k"], rtol=1e-4, atol=1e-6)
    # Newton-Schulz brings the singular values near 1.
    values = jnp.linalg.svd(found["k"].reshape(18, 4) / 0.1, compute_uv=False)
    assert ((values > 0.5) & (values < 1.5)).all()


@pytest.mark.parametrize("name", ["lars", "schedule_free_adamw", "prodigy", "adam", "muon"])
def test_a_scale_of_the_rate_acts_where_the_rate_stands_in_the_state_too(name):
    """Also where a scale of the updates would not do: the rate enters an accumulator."""
    rate = 0.1
    make = optimizers.OPTIMIZERS[name]
    tx, direct = make(rate), make(falling(rate))
    params, other = START, START
    state, other_state = tx.init(START), direct.init(START)
    update = jax.jit(lambda g, s, p, k: tx.update(g, s, p, learning_rate_scale=falling(1.0)(k)))
    plain = jax.jit(direct.update)
    for k in range(10):
        updates, state = update(jax.grad(loss)(params, k), state, params, k)
        params = optax.apply_updates(params, updates)
        updates, other_state = plain(jax.grad(loss)(other, k), other_state, other)
        other = optax.apply_updates(other, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), params, other)


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_a_trust_ratio_at_every_size_of_the_gradient(size):
    """LARS' step does not depend on it; neither does Muon's, above its epsilon."""
    params = {"w": jnp.array([[3.0, 0.0], [0.0, 4.0]])}
    usual = {"w": jnp.array([[0.6, 0.0], [0.8, 0.0]])}
    for tx in (optimizers.lars(0.1), muon(0.1, eps=1e-35)):
        found, expected = (
            tx.update(jax.tree.map(lambda g, s=s: s * g, usual), tx.init(params), params)[0]["w"]
            for s in (size, 1.0)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
