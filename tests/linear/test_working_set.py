"""A lasso of many columns on a few of them: the optimum of all, whichever way it is reached."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lapack import single_matrices
from sklearn.linear_model import ElasticNet, Lasso

from jaxopt_lab.linear import fit
from jaxopt_lab.linear.centered import centered
from jaxopt_lab.linear.working_set import LEAST, working_set

N, D = 900, LEAST + 44


def problem(correlation=0.0, share=0.05, offset=0.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    for j in range(1, D):
        X[:, j] = correlation * X[:, j - 1] + (1 - correlation**2) ** 0.5 * X[:, j]
    w = np.where(rng.uniform(size=D) < share, rng.normal(size=D), 0)
    y = X @ w + rng.normal(size=N) + 3
    return (X + offset).astype(np.float32), y.astype(np.float32)


def on_some(X, y, lam):
    A = centered(jnp.asarray(X), True)
    stop = {"count": N, "tolerance": 1e-6, "max_iterations": 10_000}
    return working_set(A, jnp.asarray(y - y.mean()), jnp.float32(lam), jnp.float32(0), **stop)


PROBLEMS = {
    "few": (problem(), 0.1),
    "far from zero": (problem(offset=1000.0), 0.1),
    "correlated": (problem(0.9), 0.1),
    "many": (problem(share=0.9), 0.3),
    "all": (problem(share=0.9), 1e-3),
    "none": (problem(), 10.0),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_is_scikit_learns_optimum(name):
    (X, y), lam = PROBLEMS[name]
    found = fit(X, y, loss="squared", penalty="l1", lam=lam)
    wide = X.astype(np.float64), y.astype(np.float64)
    expected = Lasso(lam, tol=1e-12, max_iter=100_000).fit(*wide)
    assert found.converged
    # Float32 at a certificate of 1e-6; of columns around 1,000 rounding takes four digits.
    atol = 3e-4 if name == "far from zero" else 2e-5
    np.testing.assert_allclose(found.model.coef, expected.coef_, rtol=0, atol=atol)
    spent = on_some(X, y, lam)
    gave_up = name in ("many", "all")
    assert (spent.residual > 1e-6) == gave_up
    if not gave_up:  # two solutions within the tolerance
        np.testing.assert_allclose(spent.x, found.model.coef, rtol=0, atol=1e-5)


def test_an_elastic_net_and_no_intercept():
    (X, y), lam = PROBLEMS["few"]
    given = {"loss": "squared", "penalty": "elastic_net", "lam": lam, "ratio": 0.5}
    found = fit(X, y, intercept=False, **given)
    net = ElasticNet(lam, l1_ratio=0.5, fit_intercept=False, tol=1e-12, max_iter=100_000)
    expected = net.fit(X.astype(np.float64), y.astype(np.float64))
    assert found.converged
    np.testing.assert_allclose(found.model.coef, expected.coef_, rtol=0, atol=2e-5)


def test_lanes_share_their_columns():
    (X, y), _ = PROBLEMS["few"]
    run = functools.partial(fit, jnp.asarray(X), jnp.asarray(y), loss="squared", penalty="l1")
    lams = jnp.array([0.1, 0.3])
    mapped = jax.vmap(lambda lam: run(lam=lam))
    found = mapped(lams)
    for i, lam in enumerate(lams):
        np.testing.assert_allclose(found.model.coef[i], run(lam=lam).model.coef, rtol=0, atol=1e-5)
    copies = f"f32[2,{N},{D // 4}]"
    assert copies not in jax.jit(mapped).lower(lams).compile().as_text()
    assert single_matrices(mapped, lams)


def test_what_is_not_finite_stays_so():
    (X, y), lam = PROBLEMS["few"]
    run = jax.jit(lambda X: fit(X, jnp.asarray(y), loss="squared", penalty="l1", lam=lam))
    found = run(jnp.asarray(X).at[3, 7].set(jnp.nan))
    assert not found.converged and np.isnan(found.model.coef).any()


def test_a_derivative_is_that_of_the_optimum():
    (X, y), lam = PROBLEMS["few"]
    run = lambda lam: fit(X, y, loss="squared", penalty="l1", lam=lam).model.coef  # noqa: E731
    _, slope = jax.jvp(run, (lam,), (1.0,))
    h = 1e-2
    expected = (run(lam + h) - run(lam - h)) / (2 * h)
    # Piecewise linear in lambda: exact but for float32 differences of coefficients over 2 h.
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-2)
