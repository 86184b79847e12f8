"""Schedules joined, and as transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab import schedules
from jaxopt_lab.schedules import constant, join, linear_decay, scale_by, sgdr, warmup


def test_each_is_counted_from_zero():
    joined = join([warmup(4), linear_decay(4), constant(0.25)], [4, 3])
    expected = [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0.25, 0.25]
    np.testing.assert_allclose([joined(k) for k in range(10)], expected, rtol=1e-6)


def test_warmup_before_restarts():
    joined, cycles = join([warmup(10), sgdr(8, t_mult=2)], [10]), sgdr(8, t_mult=2)
    steps = jnp.arange(100)
    shifted, alone = (jax.jit(jax.vmap(s)) for s in (joined, cycles))
    np.testing.assert_array_equal(shifted(steps + 10), alone(steps))


def test_lengths_may_be_traced():
    def value(length, step):
        return join([warmup(length), linear_decay(10)], [length])(step)

    np.testing.assert_allclose(
        jax.jit(jax.vmap(value, (0, None)))(jnp.array([5, 10]), 10), [0.5, 1.0], rtol=1e-6
    )


def test_any_function_of_the_step_can_be_joined():
    joined = join([lambda step: 0.5, lambda step: 1 / (1 + step)], [2])
    np.testing.assert_allclose([joined(k) for k in range(4)], [0.5, 0.5, 1.0, 0.5])
    assert joined(0).dtype == jnp.float32


@pytest.mark.parametrize(
    ("parts", "lengths", "text"),
    [
        ([warmup(2)], [2], "lengths must be one fewer than the 1 schedules, got 1"),
        ([], [], "one fewer"),
        ([warmup(2), warmup(2)], [0], "lengths holds a value that must be >= 1"),
    ],
)
def test_bad_joins(parts, lengths, text):
    with pytest.raises(ValueError, match=text):
        join(parts, lengths)


def test_scale_by_shows_its_value_and_multiplies():
    tx = scale_by(linear_decay(4))
    grads = {"w": jnp.ones(2, jnp.bfloat16)}
    state = tx.init(grads)
    assert state.value == 1
    for expected in (1.0, 0.75, 0.5):
        updates, state = jax.jit(tx.update)(grads, state)
        assert state.value == expected
        assert updates["w"].dtype == jnp.bfloat16
        np.testing.assert_allclose(updates["w"].astype(jnp.float32), expected)


def test_wsd_by_its_formula():
    steps, w, d = 100, 20, 40
    for shape, f in (
        ("linear", lambda x: x),
        ("cosine", lambda x: (1 - np.cos(np.pi * x)) / 2),
        ("sqrt", np.sqrt),
    ):
        schedule = schedules.wsd(steps, w, d, shape=shape, start=0.2, end=0.1)
        for k in (0, 5, 19, 20, 40, 59, 60, 61, 80, 99, 100, 500):
            x = np.clip((k - (steps - d)) / d, 0, 1)
            expected = 0.2 + 0.8 * k / w if k < w else 1 - 0.9 * f(x)
            assert float(schedule(k)) == pytest.approx(expected, abs=1e-6)


def test_wsd_without_a_stage():
    assert float(schedules.wsd(10, 0, 0)(0)) == 1
    assert float(schedules.wsd(10, 0, 10)(0)) == 1
    assert float(schedules.wsd(10, 0, 10)(5)) == pytest.approx(0.5)
    assert float(schedules.wsd(10, 10, 0)(5)) == pytest.approx(0.5)
