"""Regularized risks against scikit-learn, conditions of optimality and float64 NumPy.

`lam` is the alpha of Lasso and ElasticNet and 1/(N C) of the classifiers.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear import real
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge
from sklearn.svm import SVC, LinearSVC

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.linear import fit, ols, predict, ridge, ridge_path, tikhonov
from jaxopt_lab.losses import accuracy

# Two solvers, each to its own tolerance.
CLOSE = {"rtol": 0, "atol": 1e-4}
C = 0.5


def three_classes():
    """The breast cancer features with the benign parted in two by their first."""
    X, y = real.breast_cancer()
    return X, np.where((y == 1) & (X[:, 0] < -0.7), 2, y)


def assert_model(found, coef, intercept=0.0, scale=1.0):
    assert found.converged
    np.testing.assert_allclose(found.model.coef / scale, np.squeeze(coef) / scale, **CLOSE)
    np.testing.assert_allclose(
        found.model.intercept / scale, np.squeeze(intercept) / scale, **CLOSE
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lam", [1.0, 20.0])
def test_lasso_and_elastic_net(lam, dtype, x64):
    X, y = real.diabetes()
    given = X.astype(dtype), y.astype(dtype)  # labels of 25 to 346, so coefficients of 25
    found = fit(*given, loss="squared", penalty="l1", lam=lam, tolerance=1e-7)
    expected = Lasso(lam, tol=1e-12).fit(X, y)
    assert_model(found, expected.coef_, expected.intercept_, scale=25)
    np.testing.assert_array_equal(found.model.coef == 0, expected.coef_ == 0)
    assert 0 < (expected.coef_ == 0).sum() < 10
    found = fit(*given, loss="squared", penalty="elastic_net", lam=lam, ratio=0.3, tolerance=1e-7)
    expected = ElasticNet(lam, l1_ratio=0.3, tol=1e-12).fit(X, y)
    assert_model(found, expected.coef_, expected.intercept_, scale=25)


def test_squared_without_l1_is_the_closed_form(x64):
    X, y = real.diabetes()
    both = np.stack([y, y[::-1]], 1)
    found = fit(X, both, loss="squared", penalty="l2", lam=0.1, tolerance=1e-9)
    expected = ridge(X, both, 0.1 * len(X))
    assert_model(found, expected.coef, expected.intercept, scale=25)
    found = fit(X, y, loss="squared", penalty="none", tolerance=1e-9)
    assert_model(found, *ols(X, y), scale=25)
    wide = X[:6], y[:6]
    found = fit(*wide, loss="squared", lam=0.1, tolerance=1e-9)
    assert_model(found, *ridge(*wide, 0.6), scale=25)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logistic(dtype, x64):
    X, y = real.breast_cancer()
    run = functools.partial(fit, X.astype(dtype), y, loss="logistic", lam=1 / (len(X) * C))
    found = run(tolerance=1e-7)
    expected = LogisticRegression(C=C, tol=1e-10, solver="newton-cholesky").fit(X, y)
    assert_model(found, expected.coef_, expected.intercept_)
    right = accuracy(predict(found.model, X), jnp.asarray(y)).mean()
    np.testing.assert_allclose(right, expected.score(X, y), rtol=1e-6)


def test_logistic_with_l1(x64):
    X, y = real.breast_cancer()
    lam = 1 / (len(X) * C)
    found = fit(X, y, loss="logistic", penalty="l1", lam=lam, intercept=False, tolerance=1e-9)
    expected = LogisticRegression(
        C=C, l1_ratio=1, solver="liblinear", fit_intercept=False, tol=1e-8, max_iter=10_000
    ).fit(X, y)
    assert_model(found, expected.coef_)
    # Conditions of optimality, with the intercept that liblinear would penalize.
    found = fit(X, y, loss="logistic", penalty="l1", lam=lam, tolerance=1e-9)
    w = np.asarray(found.model.coef)
    slope = 1 / (1 + np.exp(-(X @ w + float(found.model.intercept)))) - y
    gradient = X.T @ slope / len(X)
    zero = w == 0
    assert 5 < zero.sum() < 25
    assert np.abs(gradient[zero]).max() < lam
    np.testing.assert_allclose(gradient[~zero], -lam * np.sign(w[~zero]), atol=1e-7)
    np.testing.assert_allclose(slope.mean(), 0, atol=1e-7)


def test_softmax_of_three_classes(x64):
    X, y = three_classes()
    found = fit(X, y, loss="softmax", lam=1 / (len(X) * C), tolerance=1e-8)
    expected = LogisticRegression(C=C, tol=1e-10, solver="newton-cholesky").fit(X, y)
    assert found.model.coef.shape == (30, 3)
    np.testing.assert_allclose(found.model.coef, expected.coef_.T, **CLOSE)
    # A constant for all classes changes nothing.
    b = found.model.intercept - found.model.intercept.mean()
    np.testing.assert_allclose(b, expected.intercept_ - expected.intercept_.mean(), **CLOSE)


@pytest.mark.parametrize(("penalty", "C"), [("l1", 0.05), ("l2", 0.5)])
def test_squared_hinge_one_against_the_rest(penalty, C, x64):
    X, y = three_classes()
    lam = 1 / (len(X) * C)
    arguments = {"penalty": penalty, "lam": lam, "intercept": False, "tolerance": 1e-9}
    found = fit(X, y, loss="squared_hinge", **arguments)
    svc = LinearSVC(C=C, penalty=penalty, dual=False, fit_intercept=False, tol=1e-7, max_iter=10**6)
    assert_model(found, svc.fit(X, y).coef_.T, np.zeros(3))


def hinge_risk(X, y, w, b, lam):
    margins = (2 * y - 1) * (X @ np.asarray(w) + float(b))
    return np.maximum(0, 1 - margins).mean() + lam / 2 * (np.asarray(w) ** 2).sum()


def test_hinge(x64):
    X, y = real.breast_cancer()
    lam = 1 / (len(X) * C)
    found = fit(X, y, loss="hinge", lam=lam, tolerance=1e-9)
    expected = SVC(C=C, kernel="linear", tol=1e-9).fit(X, y)
    assert_model(found, expected.coef_, expected.intercept_)
    found = fit(X, y, loss="hinge", lam=lam, tolerance=1e-9, intercept=False)
    expected = LinearSVC(C=C, loss="hinge", fit_intercept=False, tol=1e-9, max_iter=10**6).fit(X, y)
    assert_model(found, expected.coef_)


def test_the_duality_gap_bounds_the_risk():
    X, y = real.breast_cancer()
    lam = 1 / (len(X) * C)
    svc = SVC(C=C, kernel="linear", tol=1e-9).fit(X, y)
    least = hinge_risk(X, y, svc.coef_[0], svc.intercept_[0], lam)
    for iterations in (10, 200):
        model, gap, count, converged = fit(
            X.astype(np.float32), y, loss="hinge", lam=lam, max_iterations=iterations
        )
        risk = hinge_risk(X, y, *model, lam)
        assert least < risk < least + gap + 1e-6  # float32
        assert count == iterations and not converged


def test_hinge_with_an_elastic_net(x64):
    """No other solver at hand: no direction lowers the risk, which is convex."""
    X, y = real.breast_cancer()
    lam, ratio = 0.05, 0.6
    found = fit(X, y, loss="hinge", penalty="elastic_net", lam=lam, ratio=ratio, tolerance=1e-10)
    assert found.converged
    w, b = np.asarray(found.model.coef), float(found.model.intercept)
    assert 5 < (w == 0).sum() < 28

    def risk(w, b):
        return hinge_risk(X, y, w, b, lam * (1 - ratio)) + lam * ratio * np.abs(w).sum()

    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-3):
        for _ in range(50):
            step = size * rng.normal(size=31)
            assert risk(w + step[:30], b + step[30]) > risk(w, b) - 1e-10


def test_lambda_so_large_that_nothing_is_left():
    X, y = real.breast_cancer()
    X = X.astype(np.float32)
    y0 = y - y.mean()
    most = np.abs(X.T @ y0).max() / len(X)
    for loss in ("squared", "logistic"):
        model, residual, _, converged = fit(X, y, loss=loss, penalty="l1", lam=1.01 * most)
        np.testing.assert_array_equal(model.coef, 0)
        assert converged and residual <= 1e-6
        odds = np.log(y.mean() / (1 - y.mean()))
        np.testing.assert_allclose(
            model.intercept, {"squared": y.mean(), "logistic": odds}[loss], 1e-5
        )
        assert np.asarray(fit(X, y, loss=loss, penalty="l1", lam=0.9 * most).model.coef).any()


def test_vmap_over_lambda_is_a_loop_and_traces_once():
    X, y = real.breast_cancer()
    X, y = jnp.asarray(X, jnp.float32), jnp.asarray(y)
    lams = jnp.array([0.3, 0.03])
    traces = []

    def run(lam, X=X, y=y):
        traces.append(1)
        return fit(X, y, loss="logistic", penalty="l1", lam=lam)

    mapped = jax.jit(jax.vmap(run))
    mapped(lams)
    found = mapped(lams + 0)
    assert len(traces) == 1
    for i, lam in enumerate(lams):
        alone = run(lam)
        # The lanes stop on their own; a batched product rounds differently.
        assert abs(int(alone.iterations) - int(found.iterations[i])) <= 10
        np.testing.assert_allclose(found.model.coef[i], alone.model.coef, rtol=0, atol=1e-5)
    assert found.iterations[0] < found.iterations[1]
    whole = jax.jit(functools.partial(fit, loss="logistic", penalty="l1", lam=0.3, classes=2))(X, y)
    np.testing.assert_allclose(whole.model.coef, found.model.coef[0], rtol=0, atol=1e-5)


def test_degenerate_data():
    X, y = np.zeros((4, 2), np.float32), np.array([0, 1, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in ("squared", "softmax", "hinge"):
            model, _, _, converged = fit(X, y, loss=loss)
            np.testing.assert_array_equal(model.coef, 0)
            assert converged and np.isfinite(model.intercept).all()
    one = fit(X[:1], np.array([2.0], np.float32), loss="squared")
    assert one.converged and one.model.intercept == 2


def test_traced_nan_does_not_converge():
    run = jax.jit(functools.partial(fit, loss="logistic", classes=2))
    X = np.ones((4, 2), np.float32)
    model, _, iterations, converged = run(X * np.nan, np.array([0, 1, 1, 0]))
    assert np.isnan(model.coef).all() and not converged and iterations == 10


X0 = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("y", "arguments", "text"),
    [
        ([0.0, 1.0, 1.0, 0.0], {}, r"dtype float32, expected integer classes 0\.\.K-1"),
        ([[0], [1], [1], [0]], {}, r"shape \(4, 1\) and dtype int32, expected integer classes"),
        ([-1, 1, 1, -1], {}, r"labels from -1 to 1, expected classes 0\.\.K-1; \(y \+ 1\) // 2"),
        ([0, 1, 2, 1], {"classes": 2}, r"labels from 0 to 2, expected classes 0\.\.1"),
        ([1, 1, 1, 1], {}, "class 1 only"),
        ([1, 2, 2, 1], {}, "up to 2 and no 0: give classes=3 if it is a class, else number them"),
        ([0, 1, 3, 1], {}, "up to 3 and no 2: give classes=4"),
        (["no", "yes", "yes", "no"], {}, r"y has dtype <U3, expected real .*np\.unique\(y, return"),
        (np.array(["no", None, "yes", "no"], object), {}, "y has dtype object, expected real"),
        ([None, 1, 1, 0], {}, "y has dtype object, expected real numbers"),
        ([[0], [1, 2], [1], [0]], {}, "y is no array"),
        ([0j, 1, 1, 0], {}, "y has dtype complex128, expected real numbers"),
        ([0, 1, 1, 0], {"lam": -1}, "lam must be >= 0, got -1"),
        ([0, 1, 1, 0], {"loss": "logit"}, "loss must be 'squared' or .*did you mean 'logistic'"),
        ([0, 1, 1, 0], {"classes": 1}, "classes must be >= 2, got 1"),
        ([0, 1, 1, 0], {"loss": "hinge", "penalty": "l1"}, "has no L2 part"),
        ([0, 1, 1, 0], {"loss": "hinge", "lam": 0.0}, "has no L2 part"),
        ([0, 1, 1, 0], {"loss": "hinge", "penalty": "elastic_net", "ratio": 1}, "has no L2 part"),
        (
            [0, 1, 1, 0],
            {"loss": "hinge", "lam": np.ones(2)},
            r"shape \(2,\).* jax\.vmap takes many",
        ),
        ([0, 1, 1, 0], {"ratio": np.ones(2)}, r"ratio has shape \(2,\).* jax\.vmap takes many"),
    ],
)
def test_what_does_not_do(y, arguments, text):
    with pytest.raises(InputError, match=f"^fit: .*{text}"):
        fit(X0, y, **{"loss": "logistic", **arguments})


SOLVERS = {
    fit: {"loss": "squared"},
    ols: {},
    ridge: {"lam": 1.0},
    ridge_path: {"lams": [1.0]},
    tikhonov: {"gamma": np.eye(2)},
}


@pytest.mark.parametrize("method", SOLVERS, ids=lambda f: f.__name__)
def test_every_solver_wants_real_numbers(method):
    for X in (X0.astype(str), X0 + 0j, [["a", 1], *X0[1:].tolist()]):
        with pytest.raises(InputError, match=f"{method.__name__}: X has dtype .*, expected real"):
            method(X, [0, 1, 1, 0], **SOLVERS[method])


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax", "squared_hinge"])
def test_data_that_say_nothing_converge_at_once(loss):
    """The gradient at 0 is rounding, which no step makes smaller: 3.0 of it was left for ever."""
    X = np.random.default_rng(0).normal(size=(1000, 20)).astype(np.float32)
    twice, y = np.concatenate([X, X]), np.repeat([0, 1], len(X))  # each sample with both labels
    for penalty, lam in (("l1", 1e-9), ("none", 0.0), ("l2", 1e-3)):
        found = fit(twice, y, loss=loss, penalty=penalty, lam=lam)
        assert found.converged and found.iterations <= 20
        np.testing.assert_allclose(found.model.coef, 0, atol=1e-6)


def test_classes_without_samples_may_be_meant():
    model = fit(X0, np.array([1, 2, 2, 1]), loss="softmax", classes=3).model
    assert model.coef.shape == (2, 3) and np.isfinite(model.coef).all()


def test_traced_labels_need_their_number():
    with pytest.raises(InputError, match="y is traced, so give classes=K"):
        jax.jit(functools.partial(fit, loss="softmax"))(X0, jnp.array([0, 1, 1, 0]))


@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared_hinge"])
def test_bools_are_two_classes(loss):
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    found, expected = (fit(X, labels, loss=loss, lam=0.1) for labels in (y == 1, y))
    np.testing.assert_array_equal(found.model.coef, expected.model.coef)


def test_dependent_columns_without_a_penalty_have_the_least_norm():
    X, y = real.diabetes()
    twice = np.concatenate([X, X], 1).astype(np.float32)
    found = fit(twice, y, loss="squared", penalty="none")
    assert_model(found, *ols(twice, y), scale=25)


@pytest.mark.parametrize(("n", "d"), [(5000, 300), (1025, 256), (600, 512), (4096, 40)])
def test_parts_of_the_rows_far_from_zero_add_up(n, d):
    """Rows in parts that do not divide them, and a Gram matrix in blocks, against float64."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n, d)) + 1e3 * rng.uniform(size=d)).astype(np.float32)
    y = (X[:, :2].sum(1) + rng.normal(size=n)).astype(np.float32)
    expected = ElasticNet(0.1, tol=1e-10, max_iter=10_000).fit(X.astype(float), y.astype(float))
    found = fit(X, y, loss="squared", penalty="elastic_net", lam=0.1)
    assert found.converged
    np.testing.assert_allclose(found.model.coef, expected.coef_, rtol=0, atol=1e-5)
    plain = Ridge(1.0, solver="svd").fit(X.astype(float), y.astype(float))
    np.testing.assert_allclose(ridge(X, y, 1.0).coef, plain.coef_, rtol=0, atol=1e-5)


@pytest.mark.parametrize("loss", ["logistic", "squared_hinge", "softmax"])
def test_correlated_features_cost_no_more_iterations(loss):
    rng = np.random.default_rng(0)
    alone = rng.normal(size=(600, 20))
    mixed = alone.copy()
    for j in range(1, 20):
        mixed[:, j] = 0.99 * mixed[:, j - 1] + 0.02 * mixed[:, j]
    y = (alone[:, :3].sum(1) + rng.logistic(size=600) > 0).astype(int)
    found = [fit(X.astype(np.float32), y, loss=loss, lam=1e-3) for X in (alone, mixed)]
    assert all(each.converged for each in found)
    assert found[1].iterations <= 1.5 * found[0].iterations + 10


@pytest.mark.parametrize("penalty", ["l2", "none"])
def test_features_that_are_given_twice_share_their_weight(penalty):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 40)).astype(np.float32)
    y = (X @ rng.normal(size=40) + rng.logistic(size=2000) > 0).astype(int)
    given = {"lam": 1e-6} if penalty == "l2" else {}
    found = fit(np.concatenate([X, X[:, :20]], 1), y, loss="logistic", penalty=penalty, **given)
    assert found.converged
    coef = found.model.coef
    # Float32 eigenvectors part them by a few units in the last place of the largest.
    np.testing.assert_allclose(coef[:20], coef[40:], rtol=0, atol=3e-6)
