"""A schedule says what it is, and stays a plain callable."""

import re

import cases
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import schedules
from jaxopt_lab.schedules.of_step import of_step


def made(name):
    case = cases.SCHEDULES[name]
    return getattr(schedules, name)(**case) if isinstance(case, dict) else case


def drawn(schedule):
    """The points of its curve, in pixels from the lower left."""
    path = re.findall(r'<path d="M([^"HV]*)" stroke=', schedule._repr_html_())[-1]
    return np.array([p.split() for p in path.split("L")], float) * [1, -1]


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_each_is_named_with_its_arguments_and_drawn(name):
    schedule = made(name)
    assert repr(schedule).startswith(f"{name}(") and "\n" not in repr(schedule)
    assert "<svg" in schedule._repr_html_() and name in schedule._repr_html_()


@pytest.mark.parametrize(
    ("schedule", "rests_from"),
    [
        (schedules.cosine_decay(7), 0.85),
        (schedules.cosine_decay(30_000), 0.85),
        (schedules.cosine_decay(100, end=0.8), 0.85),
        (schedules.join([schedules.warmup(10), schedules.linear_decay(90)], [10]), 0.85),
        (schedules.wsd(1000, warmup=100, decay=200), 0.85),
    ],
)
def test_the_range_is_what_it_takes_to_see_it(schedule, rests_from):
    x, y = drawn(schedule).T
    share = (x - x[0]) / (x[-1] - x[0])
    assert np.ptp(y[share >= rests_from + 0.1]) < 2 and y[-1] < y.max() - 5


def test_slow_ones_are_drawn_by_half_of_their_way_and_flat_ones_as_they_are():
    y = drawn(schedules.inverse_time_decay(1e-4))[:, 1]
    assert np.ptp(y) > 0.4 * 144
    assert np.ptp(drawn(schedules.constant(0.1))[:, 1]) == 0
    assert "schedule()" in repr(of_step(lambda step: 0.1 * step))


def test_traced_numbers_are_told_and_not_drawn():
    @jax.jit
    def value(peak):
        schedule = schedules.cosine_decay(10, peak=peak)
        assert "peak=..." in repr(schedule) and "<svg" not in schedule._repr_html_()
        return schedule(0)

    assert value(2.0) == 2.0


def test_it_is_a_plain_callable_for_jax_and_optax():
    schedule = schedules.cosine_decay(10)
    assert schedule(3).shape == () and jax.jit(schedule)(3) == schedule(3)
    assert jax.vmap(schedule)(jnp.arange(3)).shape == (3,)
    assert jax.eval_shape(schedule, 0).dtype == jnp.float32
    tx = optax.inject_hyperparams(optax.adam)(schedule)
    state = tx.init({"w": jnp.ones(2)})
    _, state = tx.update({"w": jnp.ones(2)}, state)
    assert state.hyperparams["learning_rate"] == schedule(0)
    joined = optax.join_schedules([schedule, schedules.constant(0.5)], [5])
    assert joined(2) == schedule(2) and joined(7) == 0.5
    assert hash(schedule) == hash(schedule) and {schedule: 1}[schedule] == 1
