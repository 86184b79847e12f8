"""Trajectories of 200 steps on Rosenbrock's valley against optax's methods of the same form."""

import jax
import numpy as np
import optax
import pytest

from jaxopt_lab import optimizers
from jaxopt_lab.problems import rosenbrock

PAIRS = {
    "sgd": (lambda r: optimizers.sgd(r), optax.sgd),
    "momentum": (
        lambda r: optimizers.momentum(r, 0.9, rate_inside=False),
        lambda r: optax.sgd(r, momentum=0.9),
    ),
    "adam": (lambda r: optimizers.adam(r), lambda r: optax.adam(r)),
    "adam, other decays": (
        lambda r: optimizers.adam(r, 0.8, 0.95, 1e-3),
        lambda r: optax.adam(r, b1=0.8, b2=0.95, eps=1e-3),
    ),
}


def path(tx, steps=200):
    problem = rosenbrock()

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(problem.loss)(x), state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    start = (problem.start, tx.init(problem.start))
    return jax.jit(lambda c: jax.lax.scan(body, c, None, steps)[1])(start)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("rate", [1e-4, 3e-4, "decaying"])
def test_same_trajectory(pair, rate):
    ours, theirs = PAIRS[pair]
    rate = optax.linear_schedule(5e-4, 0.0, 150) if rate == "decaying" else rate
    # Equal formulas, other orders of float32 rounding, over 200 steps of a mild valley.
    np.testing.assert_allclose(path(ours(rate)), path(theirs(rate)), rtol=1e-5)


def test_the_two_forms_of_momentum_part_when_the_rate_changes():
    rate = optax.linear_schedule(5e-4, 0.0, 150)
    inside = path(optimizers.momentum(rate, 0.9))
    outside = path(optimizers.momentum(rate, 0.9, rate_inside=False))
    assert np.abs(inside - outside).max() > 1e-3
