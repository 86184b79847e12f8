"""Under x64 schedules are float64, and equal to their formulas there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SCHEDULES as CASES

from jaxopt_lab.schedules import SCHEDULES

K = np.arange(40)
TENTH = np.minimum(K / 10, 1)


def fall(x):
    return (1 + np.cos(np.pi * x)) / 2


def cyclical():
    j = K % 10
    return 0.25 + 0.75 * np.where(j <= 4, j / 4, (10 - j) / 6)


def sgdr():
    i = np.searchsorted([5, 15, 35], K, side="right")
    j, length = K - np.array([0, 5, 15, 35])[i], 5 * 2.0**i
    return 0.8**i * np.where(j < 1, j, fall((j - 1) / (length - 1)))


def one_cycle():
    low, last = 1 / 25, 1 / 25 / 1e4
    up, down = 1 - fall(np.minimum(K / 5, 1)), fall(np.clip((K - 5) / 14, 0, 1))
    return np.where(K <= 5, low + (1 - low) * up, last + (1 - last) * down)


# Of the arguments in `cases`, with a peak of 1.
FORMULAS = {
    "constant": lambda: np.ones(40),
    "linear_decay": lambda: 1 - TENTH,
    "inverse_time_decay": lambda: 1 / (1 + 0.5 * K),
    "exponential_decay": lambda: 0.5 ** (K / 5),
    "step_decay": lambda: 0.1 ** (K // 5),
    "polynomial_decay": lambda: (1 - TENTH) ** 0.9,
    "cosine_decay": lambda: fall(TENTH),
    "cyclical": cyclical,
    "sgdr": sgdr,
    "one_cycle": one_cycle,
    "wsd": lambda: np.minimum(K / 5, 1) * np.minimum(1, 1 - np.clip((K - 15) / 5, 0, 1)),
    "warmup": lambda: TENTH,
}


@pytest.mark.usefixtures("x64")
def test_values_are_those_of_the_formulas():
    made = {name: function(**CASES[name], peak=0.3) for name, function in SCHEDULES.items()}
    found = jax.jit(lambda k: {name: jax.vmap(s)(k) for name, s in made.items()})(K)
    for name, values in found.items():
        assert values.dtype == jnp.float64
        # A rounding or two of numbers below 1.
        np.testing.assert_allclose(
            values, 0.3 * FORMULAS[name](), rtol=1e-14, atol=1e-16, err_msg=name
        )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_float64_scalar_for_every_step(name):
    schedule = SCHEDULES[name](**CASES[name])
    for step in (3, np.int64(2**40), jnp.asarray(5), jnp.asarray(5, jnp.int32)):
        assert schedule(step).dtype == jnp.float64
