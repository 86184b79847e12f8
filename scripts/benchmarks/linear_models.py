"""Linear models against scikit-learn: one process, in turn, medians in milliseconds.

Compilation is excluded and every result waited for; each library gets float32 data as it likes it.

    python scripts/benchmarks/linear_models.py [--quick]

What makes the difference on CPU:
- A ridge is bound by the Gram matrix, of which BLAS and we compute the upper half. X is centered in
  parts that a cache holds: written down, the centered X took as long as the Gram matrix.
- `A.T @ r` takes 10 times as long as `r @ A`, which reads A in its own order.
- A path is bound by the QR; with R in hand, 100 lambdas are one small product.
- The lasso is bound by the Gram matrix of all columns, or of a quarter where that suffices; sweeps
  of scikit-learn's read X. Where columns are correlated they cost N/d times as much.
- Logistic regression reads X once an iteration, of which scikit-learn's L-BFGS needs fewer.

OpenBLAS, under scikit-learn and under JAX's Cholesky, QR and SVD, spins while another process has a
core: on a busy machine pin this one (`taskset -c 0`).
"""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from racing import Turn, medians, parser_of, show_times
from sklearn import linear_model

from jaxopt_lab import linear

PAUSE = 0.25  # seconds, in which OpenBLAS's threads stop spinning


def show(title: str, runs: dict[str, Turn], rounds: int) -> None:
    turns = {name: lambda run=run: jax.block_until_ready(run()) for name, run in runs.items()}
    show_times(title, medians(turns, rounds, pause=PAUSE))


def main() -> None:
    """Ridge, lasso and logistic regression on two random problems."""
    repeats = 3 if parser_of(__doc__, (), "fewer repeats").parse_args().quick else 15
    print(f"jax {jax.__version__}, {jax.default_backend()}; ms, and over the first")
    race(20_000, 500, 0.0, repeats)
    race(12_000, 400, 0.9, repeats)


def race(n: int, d: int, correlation: float, repeats: int) -> None:
    """On n samples of d columns, each correlated with the one before."""
    print(f"\n{n:,} x {d}, correlation of neighboring columns {correlation}")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)).astype(np.float32)
    for j in range(1, d):
        X[:, j] = correlation * X[:, j - 1] + (1 - correlation**2) ** 0.5 * X[:, j]
    w = np.where(rng.uniform(size=d) < 0.1, rng.normal(size=d), 0)
    outputs = X @ w
    y = (outputs + rng.normal(size=n)).astype(np.float32)
    label = (outputs + rng.logistic(size=n) > 0).astype(np.int32)
    X_, y_, label_ = (jnp.asarray(a) for a in (X, y, label))
    F = np.asfortranarray(X)

    lams = np.geomspace(1e-2, 1e4, 100).astype(np.float32)
    runs: dict[str, Turn] = {
        "ridge": lambda: linear.ridge(X_, y_, 1.0),
        "ridge, svd": lambda: linear.ridge(X_, y_, 1.0, method="svd"),
        "ridge_path, 100 lambdas": lambda: linear.ridge_path(X_, y_, lams),
        "scikit-learn Ridge, auto": lambda: linear_model.Ridge(1.0).fit(X, y) and None,
        "scikit-learn Ridge, cholesky": lambda: (
            linear_model.Ridge(1.0, solver="cholesky").fit(X, y) and None
        ),
    }
    show(f"ridge, {n:,} x {d}", runs, repeats)

    lasso = functools.partial(linear.fit, X_, y_, loss="squared", penalty="l1", lam=0.05)
    runs = {
        "fit, squared and l1": lasso,
        "scikit-learn Lasso, tol 1e-6": lambda: (
            linear_model.Lasso(0.05, tol=1e-6).fit(F, y) and None
        ),
    }
    show(f"lasso, {n:,} x {d}", runs, repeats)
    gap = np.abs(lasso().model.coef - linear_model.Lasso(0.05, tol=1e-6).fit(F, y).coef_).max()
    print(f"  largest difference of coefficients {gap:.1e}, {int(lasso().iterations)} iterations")

    logistic = functools.partial(linear.fit, X_, label_, loss="logistic", lam=1 / n)
    runs = {"fit, logistic and l2": logistic}
    for solver in ("lbfgs", "newton-cholesky"):
        model = linear_model.LogisticRegression(C=1.0, solver=solver, tol=1e-6, max_iter=1000)
        runs[f"scikit-learn {solver}, tol 1e-6"] = lambda model=model: model.fit(X, label) and None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # L-BFGS stops short of its tolerance in float32
        show(f"logistic regression, {n:,} x {d}", runs, max(1, repeats // 3))
        gap = np.abs(logistic().model.coef - model.fit(X, label).coef_[0]).max()
    print(
        f"  largest difference of coefficients {gap:.1e}, {int(logistic().iterations)} iterations"
    )


if __name__ == "__main__":
    main()
