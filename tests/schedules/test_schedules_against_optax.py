"""Schedules against optax's of the same form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import schedules

STEPS = jnp.arange(0, 300)


def assert_same(ours, theirs, steps=STEPS):
    # float32, relative to values of 0.1 to 1.
    theirs = jnp.broadcast_to(jax.vmap(theirs)(steps), steps.shape)
    np.testing.assert_allclose(jax.jit(jax.vmap(ours))(steps), theirs, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize(("peak", "end"), [(1.0, 0.0), (0.3, 0.1), (0.1, 0.3)])
def test_decays_between_two_values(peak, end):
    both = {"peak": peak, "end": end}
    assert_same(schedules.linear_decay(100, **both), optax.linear_schedule(peak, end, 100))
    assert_same(
        schedules.cosine_decay(100, **both), optax.cosine_decay_schedule(peak, 100, end / peak)
    )
    for power in (0.5, 2.0):
        assert_same(
            schedules.polynomial_decay(100, **both, power=power),
            optax.polynomial_schedule(peak, end, power, 100),
        )


@pytest.mark.parametrize("staircase", [False, True])
def test_exponential_decay(staircase):
    assert_same(
        schedules.exponential_decay(7, 0.9, staircase=staircase, peak=0.5),
        optax.exponential_decay(0.5, 7, 0.9, staircase=staircase),
    )


def test_constant_warmup_and_steps():
    assert_same(schedules.constant(0.3), optax.constant_schedule(0.3))
    assert_same(schedules.warmup(50, start=0.1, peak=0.7), optax.linear_schedule(0.1, 0.7, 50))
    assert_same(
        schedules.step_decay(at=[40, 90], factor=0.3),
        optax.piecewise_constant_schedule(1.0, {40: 0.3, 90: 0.3}),
    )


def test_sgdr_with_warmup():
    cycles = [
        {
            "init_value": 0.1,
            "peak_value": peak,
            "warmup_steps": 5,
            "decay_steps": n,
            "end_value": 0.1,
        }
        for n, peak in ((20, 1.0), (40, 0.55), (80, 0.325), (160, 0.2125))
    ]
    ours = schedules.sgdr(20, t_mult=2, m_mult=0.5, warmup=5, end=0.1)
    # optax joins its cycles in float32 arithmetic of another order.
    assert_same(ours, optax.sgdr_schedule(cycles))


def test_warmup_then_cosine_joined():
    ours = schedules.join([schedules.warmup(20), schedules.cosine_decay(80)], [20])
    assert_same(ours, optax.warmup_cosine_decay_schedule(0.0, 1.0, 20, 100))
    parts = [
        optax.linear_schedule(0, 1, 10),
        optax.constant_schedule(1),
        optax.linear_schedule(1, 0, 30),
    ]
    joined = schedules.join(
        [schedules.warmup(10), schedules.constant(), schedules.linear_decay(30)], [10, 60]
    )
    assert_same(joined, optax.join_schedules(parts, [10, 70]))


def test_wsd():
    parts = [
        optax.linear_schedule(0, 1, 10),
        optax.constant_schedule(1),
        optax.linear_schedule(1, 0.1, 30),
    ]
    assert_same(schedules.wsd(100, 10, 30, end=0.1), optax.join_schedules(parts, [10, 70]))
    parts[2] = optax.cosine_decay_schedule(1, 30, 0.1)
    assert_same(
        schedules.wsd(100, 10, 30, end=0.1, shape="cosine"), optax.join_schedules(parts, [10, 70])
    )
