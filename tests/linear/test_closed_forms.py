"""OLS, ridge and Tikhonov against float64 NumPy and scikit-learn."""

import functools

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lapack import single_matrices
from linear import real
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.linear import SOLVERS, ols, predict, r2, ridge, ridge_path, tikhonov
from jaxopt_lab.losses import squared_error

RNG = np.random.default_rng(0)
EPS = float(np.finfo(np.float32).eps)
METHODS = ["auto", "cholesky", "svd"]


def draw(n, d, targets=()):
    X = RNG.normal(size=(n, d)).astype(np.float32)
    return X, RNG.normal(size=(n, *targets)).astype(np.float32)


def reference(X, y, gamma, intercept=True):
    """The minimum-norm solution of the stacked system, in float64."""
    X, y = np.asarray(X, np.float64), np.asarray(y, np.float64)
    means = (X.mean(0), y.mean(0)) if intercept else (0 * X[0], 0 * y[0])
    stacked = np.concatenate([X - means[0], gamma])
    zeros = np.zeros((len(gamma), *y.shape[1:]))
    # The float32 data's own rank: what is below 1e-9 is rounding of float64.
    w = np.linalg.lstsq(stacked, np.concatenate([y - means[1], zeros]), rcond=1e-9)[0]
    return w, means[1] - means[0] @ w


def scaled_eye(lam, d):
    return np.sqrt(lam) * np.eye(d)


def assert_model(found, expected, tolerance):
    """Relative to the largest coefficient; the intercept to the largest of both."""
    w, b = expected
    assert found.coef.shape == w.shape and found.intercept.shape == np.shape(b)
    np.testing.assert_allclose(found.coef, w, rtol=0, atol=tolerance * np.abs(w).max())
    scale = max(np.abs(w).max(), np.abs(b).max())
    np.testing.assert_allclose(found.intercept, b, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "d", "targets"), [(40, 6, ()), (6, 40, (2,))])
def test_ridge_of_tall_and_wide(n, d, targets, method):
    X, y = draw(n, d, targets)
    for intercept in (True, False):
        for lam in (0.3, 10.0):
            found = ridge(X, y, lam, intercept=intercept, method=method)
            # A condition number below 20.
            expected = reference(X, y, scaled_eye(lam, d), intercept)
            assert_model(found, expected, 20 * EPS)


@pytest.mark.usefixtures("fully_optimized")  # compared to within a few roundings
def test_ridge_on_real_data():
    for X, y in (real.diabetes(), real.breast_cancer()):
        given = X.astype(np.float32), y.astype(np.float32)
        tolerance = np.linalg.cond(X) * EPS  # X itself is rounded to float32
        assert tolerance < 1e-4
        for lam in (0.0, 1.0, 100.0):
            sklearn = Ridge(lam, solver="svd").fit(X, y)
            assert_model(ridge(*given, lam), (sklearn.coef_, sklearn.intercept_), tolerance)


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_dependent_features_have_the_solution_of_minimum_norm(lam):
    X, y = draw(40, 8)
    X[:, 3], X[:, 5], X[:, 6] = X[:, 2], 0, 1000.3
    assert_model(ridge(X, y, lam), reference(X, y, scaled_eye(lam, 8)), 1e-5)
    X, y = draw(6, 40)
    expected = reference(X, y, scaled_eye(lam, 40))
    assert_model(ridge(X, y, lam), expected, 1e-5)
    # Traced: nothing looks at lambda.
    assert_model(jax.jit(ridge)(X, y, lam), expected, 1e-5)


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("condition", [1e2, 1e3, 1e4, 1e5])
def test_the_error_is_the_condition_number_times_eps(condition, noise):
    rng = np.random.default_rng(1)
    u, _ = np.linalg.qr(rng.normal(size=(100, 10)))
    v, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    X = (u * np.geomspace(1, 1 / condition, 10) @ v.T).astype(np.float32)
    y = X.astype(np.float64) @ rng.normal(size=10) + noise * rng.normal(size=100)
    y = y.astype(np.float32)
    w, _ = reference(X, y, np.zeros((0, 10)))
    found = ols(X, y)
    assert np.abs(found.coef - w).max() < 2 * condition * EPS * np.abs(w).max()


def test_features_in_other_units_and_far_from_zero():
    X, y = draw(40, 6)
    units = np.float32(10.0) ** np.arange(-3, 3)
    w, _ = reference(X, y, np.zeros((0, 6)))
    found = ols(X * units, y)
    np.testing.assert_allclose(found.coef * units, w, rtol=0, atol=20 * EPS * np.abs(w).max())
    far = (X + 1000).astype(np.float32)  # rounds to 6e-5
    w, _ = reference(far, y, np.zeros((0, 6)))
    np.testing.assert_allclose(ols(far, y).coef, w, rtol=0, atol=20 * EPS * np.abs(w).max())


def test_tikhonov():
    X, y = draw(40, 6, (2,))
    differences = np.diff(np.eye(6), axis=0)
    for method in METHODS:
        found = tikhonov(X, y, differences, method=method)
        assert_model(found, reference(X, y, differences), 20 * EPS)
        found = tikhonov(X, y, scaled_eye(0.5, 6), method=method)
        expected = ridge(X, y, 0.5)
        assert_model(found, (np.asarray(expected.coef), np.asarray(expected.intercept)), 20 * EPS)
    X, y = draw(4, 6)  # Gamma makes it well posed
    found = tikhonov(X, y, differences, method="svd")
    assert_model(found, reference(X, y, differences), 1e-5)


@pytest.mark.parametrize(("n", "d", "targets"), [(40, 6, ()), (6, 40, (2,))])
def test_a_path_is_ridge_at_each_lambda(n, d, targets):
    X, y = draw(n, d, targets)
    lams = np.array([0.0, 1e-2, 1.0, 1e3], np.float32)
    path = ridge_path(X, y, lams)
    mapped = jax.jit(jax.vmap(ridge, (None, None, 0)))(X, y, lams)
    for i, lam in enumerate(lams):
        w, b = reference(X, y, scaled_eye(lam, d))
        for models in (path, mapped):
            assert_model(jax.tree.map(lambda a, i=i: a[i], models), (w, b), 1e-5)
    outputs = jax.vmap(predict, (0, None))(path, X)
    assert outputs.shape == (4, n, *targets)


def test_predictions_and_scores():
    X, y = draw(40, 6, (2,))
    model = ridge(X, y, 1.0)
    outputs = predict(model, X)
    expected = X @ np.asarray(model.coef) + np.asarray(model.intercept)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(r2(outputs, y), r2_score(y, expected), rtol=1e-5)
    error = ((expected - y) ** 2).sum(1).mean()
    np.testing.assert_allclose(squared_error(outputs, y).mean(), error, rtol=1e-5)
    flat = np.ones(5, np.float32)
    assert r2(flat, flat) == 1 and r2(flat + 1, flat) == 0
    with pytest.raises(InputError, match=r"r2: outputs \(5,\), labels \(5, 1\)"):
        r2(flat, flat[:, None])


def test_one_sample():
    model = ridge(np.ones((1, 3), np.float32), np.array([2.5], np.float32), 0.0)
    np.testing.assert_array_equal(model.coef, 0)
    assert model.intercept == 2.5


@pytest.mark.parametrize("name", SOLVERS)
def test_dtypes(name, x64):
    solve = functools.partial(SOLVERS[name], **cases.SOLVERS[name])
    X, y = draw(12, 3)
    for given, found in ((jnp.bfloat16, "f4"), (jnp.float32, "f4"), ("f8", "f8"), (int, "f4")):
        shapes = jax.eval_shape(solve, jnp.asarray(X, given), jnp.asarray(y, given))
        model = getattr(shapes, "model", shapes)
        assert model.coef.dtype == model.intercept.dtype == found


def test_float64(x64):
    X, y = draw(30, 4)
    X, y = X.astype(np.float64), y.astype(np.float64)
    for solve in (ridge, lambda X, y, lam: tikhonov(X, y, scaled_eye(lam, 4))):
        assert_model(solve(X, y, 0.5), reference(X, y, scaled_eye(0.5, 4)), 1e-14)


X0, Y0 = draw(5, 2)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(
    ("X", "y", "text"),
    [
        (X0[:, 0], Y0, r"X has shape \(5,\), expected \(N, d\)"),
        (X0[:, :0], Y0, r"X has shape \(5, 0\)"),
        (X0[:0], Y0[:0], r"X has shape \(0, 2\)"),
        (X0, Y0[:4], r"y has shape \(4,\), expected \(5,\)"),
        (np.where(np.arange(5)[:, None] < 3, X0, np.nan), Y0, "X holds NaN or infinity.* row 3"),
        (X0, np.where(np.arange(5) < 1, Y0, np.inf), "y holds NaN or infinity.* row 1"),
    ],
)
def test_data_that_do_not_do(name, X, y, text):
    with pytest.raises(InputError, match=f"^{name}: {text}"):
        SOLVERS[name](X, y, **cases.SOLVERS[name])


def test_arguments_that_do_not_do():
    for lam in (-1.0, np.float32(-1), np.nan, jnp.float32(-1)):
        with pytest.raises(InputError, match=r"ridge: lam.* must be >= 0"):
            ridge(X0, Y0, lam)
    with pytest.raises(InputError, match="ridge: lam must be >= 0 and finite, got inf"):
        ridge(X0, Y0, np.inf)
    with pytest.raises(InputError, match=r"lambda has shape \(3,\), expected one number"):
        ridge(X0, Y0, np.ones(3))
    with pytest.raises(InputError, match="method must be 'auto' or"):
        ridge(X0, Y0, 1.0, method="qr")
    with pytest.raises(InputError, match="lambda must be >= 0, got -1"):
        ridge_path(X0, Y0, [1.0, -1.0])
    with pytest.raises(InputError, match=r"lambda has shape \(\), expected \(L,\)"):
        ridge_path(X0, Y0, 1.0)
    with pytest.raises(InputError, match=r"gamma has shape \(3, 3\), expected \(q, 2\)"):
        tikhonov(X0, Y0, np.eye(3))


def test_many_problems_at_once_give_a_cpu_one_matrix_at_a_time():
    """Both branches of a solver are there under `vmap`: two batches on two cores wait for ever."""
    many = jnp.ones((3, 8, 4)), jnp.ones((3, 8))
    for solve in (ols, lambda X, y: ridge(X, y, 1.0), lambda X, y: ridge_path(X, y, jnp.ones(2))):
        assert single_matrices(jax.vmap(solve), *many)


def test_traced_data_that_do_not_do_give_nan():
    solve = jax.jit(ridge)
    assert np.isnan(solve(X0, Y0, -1.0).coef).all()
    assert np.isnan(solve(np.where(np.eye(5, 2), np.nan, X0), Y0, 1.0).coef).any()
    # Constants of a traced function are looked at, as elsewhere.
    with pytest.raises(InputError, match="X holds NaN"):
        jax.jit(lambda lam: ridge(X0 * np.nan, Y0, lam))(1.0)
