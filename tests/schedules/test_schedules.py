"""What every schedule of the table keeps, and its argument checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SCHEDULES as CASES

from jaxopt_lab import schedules
from jaxopt_lab.schedules import SCHEDULES
from jaxopt_lab.testing import schedule as promises


@pytest.fixture(params=SCHEDULES, name="name")
def _name(request):
    return request.param


@pytest.fixture(name="schedule")
def _schedule(name):
    return SCHEDULES[name](**CASES[name])


def test_a_float32_scalar_for_every_step(schedule):
    promises.defined_for_every_step(schedule)


def test_peak_is_one(schedule):
    promises.peak_is_one(schedule)


def test_the_peak_scales_everything(name):
    """But absolute ends and starts that are given: none are in the cases."""
    promises.peak_scales_everything(SCHEDULES[name], CASES[name])


def test_jit_and_vmap_equal_eager(schedule):
    promises.jit_and_vmap_equal_eager(schedule)


def test_every_number_may_be_traced(name):
    promises.numbers_may_be_traced(SCHEDULES[name], CASES[name])


@pytest.mark.parametrize("name", [n for n in CASES if "steps" in CASES[n]])
def test_constant_after_its_end(name):
    """A schedule that is shorter than the run keeps its last value."""
    schedule = SCHEDULES[name](**CASES[name])
    steps = CASES[name]["steps"]
    assert len({float(schedule(k)) for k in (steps, steps + 1, 10 * steps, 10**9)}) == 1


def test_hyperparameters_may_be_swept():
    ends = jnp.array([0.1, 0.2])
    values = jax.vmap(lambda end: schedules.linear_decay(10, end=end)(10))(ends)
    np.testing.assert_allclose(values, ends, rtol=1e-6)
    starts = jax.vmap(lambda n: schedules.warmup(n)(3))(jnp.array([3, 6]))
    np.testing.assert_allclose(starts, [1.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        *((n, {"peak": p}, "peak must be") for n in SCHEDULES for p in (-1.0, 0.0, float("nan"))),
        *((n, {"steps": 0}, "steps must be >= 1") for n in CASES if "steps" in CASES[n]),
        ("linear_decay", {"end": -0.1}, "end must be >= 0"),
        ("inverse_time_decay", {"rate": -0.1}, "rate must be >= 0"),
        ("exponential_decay", {"rate": 1.1}, r"rate must be in \(0, 1\]"),
        ("exponential_decay", {"every": 0}, "every must be >= 1"),
        ("step_decay", {"factor": 0.0}, r"factor must be in \(0, 1\]"),
        ("step_decay", {"at": [3]}, "one of the two; both are"),
        ("step_decay", {"every": None}, "one of the two; neither is"),
        ("step_decay", {"every": None, "at": [0]}, "at holds a value that must be >= 1"),
        ("polynomial_decay", {"power": 0.0}, "power must be > 0"),
        ("cyclical", {"up": 0}, "up must be >= 1"),
        ("cyclical", {"down": 0}, "down must be >= 1"),
        ("cyclical", {"mode": "triangle"}, "did you mean 'triangular'"),
        ("cyclical", {"gamma": 1.1}, "gamma must be in"),
        ("sgdr", {"cycle": 0}, "cycle must be >= 1"),
        ("sgdr", {"t_mult": 0}, "t_mult must be >= 1"),
        ("sgdr", {"m_mult": 1.5}, "m_mult must be in"),
        ("sgdr", {"warmup": 5}, "warmup must be < 5"),
        ("one_cycle", {"rise": 1.2}, "rise must be in"),
        ("one_cycle", {"rise": 0.6, "three_phase": True}, "rise must be <= 0.5"),
        ("one_cycle", {"anneal": "cosine"}, "anneal must be 'cos' or 'linear'"),
        ("wsd", {"warmup": 16}, "decay must be <= 4, what the warm-up leaves of 20 steps, got 5"),
        ("wsd", {"decay": -1}, "decay must be >= 0"),
        ("wsd", {"shape": "exponential"}, "shape must be"),
        ("warmup", {"start": -1.0}, "start must be >= 0"),
    ],
)
def test_out_of_range(name, wrong, text):
    with pytest.raises(ValueError, match=text):
        SCHEDULES[name](**{**CASES[name], **wrong})
