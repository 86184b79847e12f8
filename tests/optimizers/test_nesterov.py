"""Nesterov's method is the literal algorithm, with the gradient taken at the lookahead point."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab.optimizers import momentum, nesterov, nesterov_iterate
from jaxopt_lab.problems import rosenbrock

PROBLEM = rosenbrock()
STEPS = 60


def of_step(value, step):
    return value(step) if callable(value) else value


def literal(rate, beta):
    """theta_k and the lookahead points, as the paper writes them."""
    theta, m = PROBLEM.start, jnp.zeros(2)
    iterates, points = [], []
    for k in range(STEPS):
        point = theta + of_step(beta, k) * m
        iterates.append(theta)
        points.append(point)
        m = of_step(beta, k) * m - of_step(rate, k) * jax.grad(PROBLEM.loss)(point)
        theta = theta + m
    return jnp.stack(iterates), jnp.stack(points)


def ours(rate, beta):
    tx = nesterov(rate, beta)

    def body(carry, _):
        point, state = carry
        updates, new = tx.update(jax.grad(PROBLEM.loss)(point), state, point)
        here = nesterov_iterate(state, point), point
        return (optax.apply_updates(point, updates), new), here

    start = (PROBLEM.start, tx.init(PROBLEM.start))
    return jax.jit(lambda c: jax.lax.scan(body, c, None, STEPS)[1])(start)


@pytest.mark.parametrize(
    ("rate", "beta"),
    [
        (2e-4, 0.9),
        (lambda k: 2e-4 * (1 - k / 100), 0.9),
        (2e-4, lambda k: 0.5 + 0.4 * k / STEPS),
        (lambda k: 2e-4 * (1 - k / 100), lambda k: 0.95 - 0.4 * k / STEPS),
    ],
    ids=["constant", "rate falls", "beta rises", "both change"],
)
def test_the_path_is_the_literal_algorithm(rate, beta):
    iterates, points = literal(rate, beta)
    our_iterates, our_points = ours(rate, beta)
    # The same sums in another order of float32 roundings.
    np.testing.assert_allclose(our_iterates, iterates, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(our_points, points, rtol=2e-5, atol=2e-6)


def test_it_is_not_plain_momentum():
    iterates, points = ours(2e-4, 0.9)
    tx = momentum(2e-4, 0.9)
    x, state = PROBLEM.start, tx.init(PROBLEM.start)
    for _ in range(STEPS - 1):
        updates, state = tx.update(jax.grad(PROBLEM.loss)(x), state, x)
        x = optax.apply_updates(x, updates)
    assert jnp.abs(iterates[-1] - x).max() > 1e-3
    assert jnp.abs(points - iterates).max() > 1e-3


def test_the_iterate_has_the_dtypes_of_the_parameters():
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    state = nesterov(0.1).init(params)
    assert nesterov_iterate(state, params)["w"].dtype == jnp.bfloat16
