"""Known minima are minima."""

import jax
import numpy as np
import pytest
from cases import PROBLEMS as CASES

from jaxopt_lab.problems import PROBLEMS, quadratic


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_minimizer_is_stationary_with_a_positive_hessian(name):
    problem = PROBLEMS[name](**CASES[name])
    assert problem.loss(problem.minimizer) == 0
    np.testing.assert_array_equal(jax.grad(problem.loss)(problem.minimizer), 0)
    assert np.linalg.eigvalsh(jax.hessian(problem.loss)(problem.minimizer)).min() > 0
    assert problem.loss(problem.start) > 0
    squares = (problem.residuals(problem.start) ** 2).sum()
    np.testing.assert_allclose(squares, problem.loss(problem.start), rtol=1e-6)


def test_condition_number():
    problem = quadratic(5, 1000.0, angle=30.0)
    hessian = jax.hessian(problem.loss)(problem.start)
    assert np.abs(hessian - np.diag(np.diagonal(hessian))).max() > 0.1
    values = np.linalg.eigvalsh(jax.hessian(problem.loss)(problem.start))
    assert values[-1] / values[0] == pytest.approx(1000, rel=1e-4)
