"""Sharpness against quadratic models from the dense Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.making import problem

from jaxopt_lab import diagnostics
from jaxopt_lab.core.errors import ArgumentError, InputError

KEY = jax.random.key(0)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_of_a_network_against_eigh(x64, name):
    case = problem(name)
    g, rho, epsilon = case.gradient, 1e-2, 1e-3

    def tilted(params):
        """The network's loss less its slope here: a stationary point with the same Hessian."""
        move = jnp.concatenate([x.ravel() for x in jax.tree.leaves(params)]) - case.vector
        return case.loss(params) - g @ move

    @jax.jit
    def computed(params):
        return (
            diagnostics.sam_sharpness(case.loss, params, rho=rho),
            diagnostics.sam_sharpness(tilted, params, rho=rho),
            diagnostics.keskar_sharpness(
                tilted, params, KEY, epsilon=epsilon, ball="l2", steps=100
            ),
            diagnostics.keskar_sharpness(case.loss, params, KEY, epsilon=epsilon),
        )

    along, flat, ball, box = computed(case.params)
    length = np.linalg.norm(g)
    expected = rho * length + rho**2 / 2 * (g @ case.hessian @ g) / length**2
    np.testing.assert_allclose(along, expected, rtol=1e-2)
    assert abs(flat) < 1e-2 * expected
    np.testing.assert_allclose(ball.rise, epsilon**2 / 2 * case.eigenvalues[-1], rtol=1e-2)
    loss = case.loss(case.params)
    np.testing.assert_allclose(ball.percent, 100 * ball.rise / (1 + loss), rtol=1e-9)
    # In so small a box the slope decides: every parameter at its bound.
    corner = case.vector + epsilon * (jnp.abs(case.vector) + 1) * jnp.sign(g)
    np.testing.assert_allclose(box.rise, case.loss(case.unravel(corner)) - loss, rtol=1e-2)


def test_the_box_is_relative_to_each_parameter_and_the_ball_is_not():
    curvatures, params = jnp.array([1.0, 2.0, 10.0]), jnp.array([3.0, 0.0, -1.0])

    def objective(p):
        return (curvatures * (p - params) ** 2).sum() / 2

    box = diagnostics.keskar_sharpness(objective, params, KEY, epsilon=0.1)
    bounds = np.array([0.4, 0.1, 0.2])
    np.testing.assert_allclose(np.abs(box.perturbation), bounds, rtol=1e-5)
    np.testing.assert_allclose(box.rise, (curvatures * bounds**2).sum() / 2, rtol=1e-5)
    ball = diagnostics.keskar_sharpness(objective, params, KEY, epsilon=0.1, ball="l2")
    np.testing.assert_allclose(ball.rise, 0.05, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(ball.perturbation), 0.1, rtol=1e-5)


def test_is_never_negative_and_shows_nan():
    params = jnp.ones(3)
    top = diagnostics.keskar_sharpness(lambda p: -((p - 1) ** 2).sum(), params, KEY)
    assert top.rise == 0 and not np.any(top.perturbation)
    broken = diagnostics.keskar_sharpness(lambda p: jnp.log(1 - p).sum(), params, KEY)
    assert np.isnan(broken.rise)
    assert diagnostics.sam_sharpness(lambda p: (p * 0).sum(), params) == 0


def test_of_gradients_whose_squares_leave_the_range_of_floats():
    @jax.jit
    def computed(scale):
        objective = lambda p: scale * p.sum()  # noqa: E731
        ball = diagnostics.keskar_sharpness(
            objective, jnp.zeros(4), KEY, epsilon=0.5, ball="l2", steps=10
        )
        return diagnostics.sam_sharpness(objective, jnp.zeros(4), rho=0.5), ball.rise

    for scale in (1e-30, 1e30):
        np.testing.assert_allclose(np.array(computed(scale)) / scale, 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: diagnostics.sam_sharpness(jnp.sum, jnp.ones(3), rho=-1.0),
            ArgumentError,
            "rho must be >= 0, got -1",
        ),
        (
            lambda: diagnostics.sam_sharpness(lambda p: p, jnp.ones(3)),
            InputError,
            r"sam_sharpness: the objective must give one scalar, got shape \(3,\)",
        ),
        (
            lambda: diagnostics.keskar_sharpness(jnp.sum, jnp.ones(3), KEY, epsilon=0.0),
            ArgumentError,
            "epsilon must be > 0",
        ),
        (
            lambda: diagnostics.keskar_sharpness(jnp.sum, jnp.ones(3), KEY, ball="l1"),
            ArgumentError,
            "ball must be 'box' or 'l2', got 'l1'",
        ),
        (
            lambda: diagnostics.keskar_sharpness(lambda p: {"loss": p.sum()}, jnp.ones(3), KEY),
            InputError,
            "must give one scalar, got dict",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
