"""Regularized empirical risk of linear models."""

import functools
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, NonNegative, Positive, Probability, Range, checked
from jaxopt_lab.linear.centered import centered
from jaxopt_lab.linear.hinge_dual import hinge_dual
from jaxopt_lab.linear.model import LinearModel
from jaxopt_lab.linear.prepare import check_data, check_strength, uncentered
from jaxopt_lab.linear.smooth_risk import smooth_risk
from jaxopt_lab.linear.squared_risk import squared_risk

Loss = Literal["squared", "logistic", "softmax", "squared_hinge", "hinge"]
Penalty = Literal["none", "l1", "l2", "elastic_net"]


class Fit(NamedTuple):
    """A model and how near to optimal it is.

    Attributes:
      model: the `LinearModel`.
      residual: the certificate of optimality, 0 at the optimum; the largest over outputs.
      iterations: int32, the most over outputs; a multiple of 10. Of the squared loss with L1
        sweeps of coordinate descent, and of accelerated gradients where these had to follow.
      converged: bool, whether the residual is within the tolerance.
    """

    model: LinearModel
    residual: jax.Array
    iterations: jax.Array
    converged: jax.Array


@checked
def fit(
    X: jax.Array,
    y: jax.Array,
    *,
    loss: Loss,
    penalty: Penalty = "l2",
    lam: NonNegative = 1e-2,
    ratio: Probability = 0.5,
    intercept: bool = True,
    classes: Annotated[int | None, Range(2)] = None,
    tolerance: Positive = 1e-6,
    max_iterations: Count = 10_000,
) -> Fit:
    """Minimize the regularized empirical risk of a linear model, with a certificate.

    Lasso, elastic net, logistic and multinomial regression, and linear support vector machines.
    Standardize the features: the number of iterations grows with the square root of the condition
    number of X^T X. The squared loss with L2 has a closed form, `ridge`.

        minimize 1/N sum_n l(x_n w + b, y_n) + lambda Omega(w)

        squared         (z - y)^2 / 2                    none          0
        logistic        log(1 + e^(-s z))                l1            ||w||_1
        softmax         -log softmax(z)_y                l2            ||w||^2 / 2
        squared_hinge   max(0, 1 - s z)^2                elastic_net   r ||w||_1 + (1 - r)/2 ||w||^2
        hinge           max(0, 1 - s z)

    with s = 1 for class 1 and -1 for class 0. More than two classes are one problem with softmax,
    and one against the rest with the others: a score for each class.

    By accelerated proximal gradients with restarts and the known bound on the curvature: zeros of
    L1 are exact; without L1 that bound is a matrix, so that correlated features cost no more
    iterations. The squared loss of a tall X with L1 is solved by coordinate descent on the Gram
    matrix, refined with gradients of X itself; without L1, and where that is too ill-conditioned, X
    is reduced to d rows by QR first. Hinge is solved in its dual, by accelerated gradients, and
    takes a penalty with an L2 part.

    Args:
      X: features, (N, d), real; computed in their dtype, in float32 where that is narrower.
      y: integer classes 0..K-1, (N,); with loss "squared" numbers, (N,) or (N, T).
      loss: static; l.
      penalty: static; Omega. The intercept is not penalized.
      lam: lambda >= 0; a number or a traced array.
      ratio: r in [0, 1], the share of L1 in the elastic net; a number or a traced array.
      intercept: static; with b.
      classes: static; K, at least 2; needed where y is traced or has no sample of a class, None to
        count those of y.
      tolerance: of the residual. For the hinge that is the duality gap, the risk of w = 0 being 1;
        for other losses the norm of the proximal-gradient step relative to the gradient step at
        w = 0, and 0 where it is no longer than the rounding of a gradient, as it is from the start
        where X says nothing of y. Float32 reaches about 1e-6; below it `converged` may stay false.
        The coefficients are off by about the residual times the condition number of the problem.
      max_iterations: static; rounded up to a multiple of 10.

    Returns:
      A `Fit`: coef (d,) for one output, such as two classes without softmax, else (d, T). Each
      lane under `jax.vmap` stops on its own. NaN, not converged, where traced data hold NaN or
      infinity, or lambda is negative. Without a penalty the risk of separable classes, with loss
      "logistic" or "softmax", has no minimum: the coefficients are then those at which its gradient
      came below the tolerance, and that is what `converged` says.

    Raises:
      ArgumentError: for a number out of its range or an unknown word.
      InputError: where shapes do not fit; concrete data hold NaN or infinity; labels are not
        classes or of one class only; hinge has no L2.

    Differs from: scikit-learn in names and scale: lambda is the `alpha` of `Lasso` and
    `ElasticNet`, and 1/(N C) of `LogisticRegression`, `LinearSVC` and `SVC`. `LinearSVC` penalizes
    its intercept. `losses.squared_error` has no half.

    Reference: Beck and Teboulle, 2009, https://doi.org/10.1137/080716542.
    """
    X, y = check_data("fit", X, y)
    strength = check_strength("fit", 0.0 if penalty == "none" else lam, X.dtype)
    if jnp.ndim(ratio):
        shape = jnp.shape(ratio)
        raise InputError(f"fit: ratio has shape {shape}, expected one number; jax.vmap takes many")
    if loss == "hinge":
        _need_l2(penalty, lam, ratio)
    target = y if loss == "squared" else _classes(y, loss, classes)
    share = {"l1": 1.0, "elastic_net": ratio}.get(penalty, 0.0)
    lasso, ridge = strength * share, strength * (1 - share)
    sparse = penalty in ("l1", "elastic_net")
    return _solve(X, target, lasso, ridge, tolerance, loss, sparse, intercept, max_iterations)


def _need_l2(penalty: str, lam: Any, ratio: Any) -> None:
    strength = {"l2": lam, "elastic_net": lam * (1 - ratio)}.get(penalty, 0.0)
    if is_concrete(strength) and strength == 0:
        raise InputError(
            f"fit: loss 'hinge' with penalty {penalty!r}, lam {lam} and ratio {ratio} has no L2 "
            "part, which its dual needs; add one, or use 'squared_hinge'"
        )


def _classes(y: jax.Array, loss: str, classes: int | None) -> jax.Array:
    """One-hot labels, (N, K); (N,) of class 1 where two classes need one score."""
    if y.ndim != 1 or jnp.issubdtype(y.dtype, jnp.inexact):
        raise InputError(
            f"fit: y has shape {y.shape} and dtype {y.dtype}, expected integer classes 0..K-1, "
            f"(N,), for loss {loss!r}; 'squared' takes numbers"
        )
    if is_concrete(y):
        present = np.unique(np.asarray(y))
        most = int(present.max()) + 1 if classes is None else classes
        if present.min() < 0 or present.max() >= most:
            signs = "; (y + 1) // 2 makes them of -1, 1" if present.tolist() == [-1, 1] else ""
            raise InputError(
                f"fit: y holds labels from {present.min()} to {present.max()}, expected classes "
                f"0..{'K-1' if classes is None else classes - 1}{signs}"
            )
        if len(present) == 1:
            raise InputError(
                f"fit: y holds class {present[0]} only; a classifier needs two or more"
            )
        if classes is None and len(present) < most:
            absent = next(k for k in range(most) if k not in present)
            raise InputError(
                f"fit: y holds labels up to {most - 1} and no {absent}: give classes={most} if it "
                "is a class, else number them anew, y = np.unique(y, return_inverse=True)[1]"
            )
        classes = most
    elif classes is None:
        raise InputError("fit: y is traced, so give classes=K, the number of its classes")
    if classes == 2 and loss != "softmax":
        return y
    return jax.nn.one_hot(y.astype(jnp.int32), classes, dtype=jnp.int32)  # bools are classes, too


@functools.partial(jax.jit, static_argnames=("loss", "sparse", "intercept", "max_iterations"))
@full_precision
def _solve(X, target, lasso, ridge, tolerance, loss, sparse, intercept, max_iterations):
    A, t = centered(X, intercept), target.reshape(len(X), -1).astype(X.dtype)
    stop = {"tolerance": tolerance, "max_iterations": max_iterations}
    if loss == "squared":
        targets = centered(t, intercept)
        optimum = squared_risk(A, targets.whole(), lasso, ridge, sparse=sparse, **stop)
        w, b = optimum.x, targets.whole_mean
    else:
        solver = functools.partial(smooth_risk, loss=loss, count=len(X), sparse=sparse)
        solver = hinge_dual if loss == "hinge" else solver
        problem = functools.partial(
            solver, A, lasso=lasso, ridge=ridge, intercept=intercept, **stop
        )
        if loss == "softmax":
            w, b, optimum = problem(t)
        else:
            columns = jax.vmap(problem, in_axes=1)(t[:, :, None])
            w, b, optimum = columns[0][..., 0].T, columns[1][:, 0], columns[2]
    residual, iterations = optimum.residual.max(), optimum.iterations.max()
    model = uncentered(w, A.whole_mean, b, jnp.shape(target)[1:])
    return Fit(model, residual, iterations, residual <= tolerance)
