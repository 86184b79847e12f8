"""Schedules against optax's and against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import SCHEDULES as CASES

from jaxopt_lab.schedules import SCHEDULES, cosine_decay, linear_decay, scale_by

STEPS = jnp.arange(0, 200, 7)


@pytest.fixture(params=SCHEDULES, name="schedule")
def _schedule(request):
    return SCHEDULES[request.param](**CASES[request.param])


def test_a_float32_scalar_for_every_step(schedule):
    for step in (0, 3, 10**6, jnp.array(5), jnp.array(2**31 - 1)):
        value = schedule(step)
        assert value.shape == ()
        assert value.dtype == jnp.float32
        assert np.isfinite(value)


def test_peak_is_one(schedule):
    assert max(float(schedule(k)) for k in range(30)) == pytest.approx(1.0)


def test_jit_and_vmap_equal_eager(schedule):
    eager = jnp.stack([schedule(k) for k in STEPS])
    # One unit in the last place of float32, relative to the peak of 1.
    np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(STEPS), eager, atol=1e-7)


@pytest.mark.parametrize(("peak", "end"), [(1.0, 0.0), (0.3, 0.1), (0.1, 0.3)])
def test_against_optax(peak, end):
    linear = optax.linear_schedule(peak, end, 100)
    cosine = optax.cosine_decay_schedule(peak, 100, alpha=end / peak)
    for step in STEPS:
        # float32, relative to values of 0.1 to 1.
        assert linear_decay(100, peak=peak, end=end)(step) == pytest.approx(
            float(linear(step)), abs=1e-6
        )
        assert cosine_decay(100, peak=peak, end=end)(step) == pytest.approx(
            float(cosine(step)), abs=1e-6
        )


def test_hyperparameters_may_be_traced():
    values = jax.vmap(lambda end: linear_decay(10, end=end)(10))(jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(values, [0.1, 0.2], rtol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps": 5, "peak": -1.0}, {"steps": 5, "end": -0.1}]
)
def test_out_of_range(name, wrong):
    with pytest.raises(ValueError, match="must be"):
        SCHEDULES[name](**wrong)


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
