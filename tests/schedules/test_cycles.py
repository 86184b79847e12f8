"""Cycles at every boundary, against a loop over whole numbers."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab import schedules
from jaxopt_lab.optimizers import momentum
from jaxopt_lab.schedules.cycles import cycle_at

FAR = 2**31 - 2


def loop(length, growth, count):
    """(index, first, last) of every step from 0 to count - 1."""
    rows, first, index = [], 0, 0
    while first < count:
        rows += [(index, first, first + length - 1)] * min(length, count - first)
        first, length, index = first + length, length * growth, index + 1
    return np.array(rows)


def cycles_at(steps, length, growth):
    return jax.vmap(lambda k: cycle_at(k, length, growth))(steps)


traced_cycles_at = jax.jit(cycles_at)


@pytest.mark.parametrize("length", [1, 3, 7, 100])
@pytest.mark.parametrize("growth", [1, 2, 3])
def test_every_step_lies_in_its_cycle(length, growth):
    steps = jnp.arange(8000)
    expected = loop(length, growth, 8000)
    known = jax.jit(lambda: cycles_at(steps, length, growth))()
    for found in (known, traced_cycles_at(steps, length, growth)):
        np.testing.assert_array_equal(np.stack(found[:3], axis=1), expected)
        np.testing.assert_array_equal(found.length, expected[:, 2] - expected[:, 1] + 1)


@pytest.mark.parametrize("length", [1, 3, 1000])
@pytest.mark.parametrize("growth", [1, 2, 3, 7])
def test_boundaries_far_beyond_what_float32_counts(length, growth):
    """The last boundary below 2^31, and the steps beside it."""
    first, index, size = 0, 0, length
    if growth == 1:
        index, first = FAR // length, FAR // length * length
    while growth > 1 and first + size < FAR:
        first, index, size = first + size, index + 1, size * growth
    steps = jnp.array([first - 1, first, FAR])
    known = jax.jit(lambda: cycles_at(steps, length, growth))()
    for found in (known, traced_cycles_at(steps, length, growth)):
        assert found.index.tolist() == [index - 1, index, index]
        assert found.last[0] == first - 1
        assert found.first[1:].tolist() == [first, first]
        assert (found.last[2] == FAR) == (first + size - 1 == FAR)


@pytest.mark.parametrize("t_mult", [1, 2, 3])
def test_sgdr_ends_its_cycles_on_their_last_steps(t_mult):
    given = {"cycle": 5, "t_mult": t_mult, "m_mult": 0.7, "warmup": 2, "peak": 0.5, "end": 0.1}
    steps = jnp.arange(3000)
    ends = jax.jit(jax.vmap(schedules.sgdr_cycle_end(**given)))(steps)
    values = np.asarray(jax.jit(jax.vmap(schedules.sgdr(**given)))(steps))
    expected = loop(5, t_mult, 3000)
    np.testing.assert_array_equal(ends, expected[:, 2] == np.arange(3000))
    assert ends.dtype == jnp.bool_
    # With a warm-up each cycle begins at the end value and is highest after it.
    np.testing.assert_allclose(values[expected[:, 1] == np.arange(3000)], 0.1, rtol=1e-6)
    tops = values[expected[:, 1] + 2 == np.arange(3000)]
    np.testing.assert_allclose(tops, 0.1 + 0.4 * 0.7 ** np.arange(len(tops)), rtol=1e-5)


def test_the_last_step_of_a_cycle_has_its_lowest_value():
    given = {"cycle": 6, "t_mult": 2}
    values = jax.jit(jax.vmap(schedules.sgdr(**given)))(jnp.arange(18))
    ends = jax.jit(jax.vmap(schedules.sgdr_cycle_end(**given)))(jnp.arange(18))
    assert np.flatnonzero(ends).tolist() == [5, 17]
    assert int(jnp.argmin(values[:6])) == 5
    assert int(jnp.argmin(values[6:])) == 11


def test_cyclical_ends_its_cycles_on_their_last_steps():
    is_end = schedules.cyclical_cycle_end(4, down=6, mode="exp_range", gamma=0.9, base=0, peak=2.0)
    ends = jax.jit(jax.vmap(is_end))(jnp.arange(40))
    assert np.flatnonzero(ends).tolist() == [9, 19, 29, 39]
    assert bool(schedules.cyclical_cycle_end(4)(7))
    assert not bool(schedules.cyclical_cycle_end(4)(8))


def test_cyclical_stays_exact_far_out():
    """float32 alone would be off by whole steps beyond 2^24."""
    schedule = schedules.cyclical(10)
    far = 2**30 // 20 * 20
    np.testing.assert_allclose(
        [schedule(far + k) for k in range(20)], [schedule(k) for k in range(20)]
    )


def test_exp_range_stays_exact_far_out():
    value = schedules.cyclical(1, mode="exp_range", base=0.0, gamma=0.99994)(100_001)
    assert float(value) == pytest.approx(0.99994**100_001, rel=1e-5)


def test_cycle_ends_take_the_schedules_arguments_and_checks():
    for name in ("sgdr", "cyclical"):
        function = getattr(schedules, name)
        end = getattr(schedules, f"{name}_cycle_end")
        written, written_end = inspect.unwrap(function), inspect.unwrap(end)
        assert written.__annotations__.keys() == written_end.__annotations__.keys()
        assert written.__kwdefaults__ == written_end.__kwdefaults__
        with pytest.raises(ValueError, match="must be >= 1"):
            end(0)


def test_momentum_cycles_against_the_rate():
    rate = schedules.cyclical(4, base=0.1, peak=1.0)
    beta = schedules.cyclical(4, base=0.95, peak=0.8)
    steps = jnp.arange(17)
    rates, betas = jax.vmap(rate)(steps), jax.vmap(beta)(steps)
    np.testing.assert_allclose((rates - 0.1) / 0.9, (0.95 - betas) / 0.15, atol=1e-6)
    tx = momentum(rate, beta)
    params = {"w": jnp.ones(2)}
    state, velocity = tx.init(params), 0.0
    for k in range(9):
        updates, state = tx.update(params, state, params)
        velocity = float(betas[k]) * velocity + float(rates[k])
        np.testing.assert_allclose(updates["w"], -velocity, rtol=1e-5)
