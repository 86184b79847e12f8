"""Regularized risk of the squared loss."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jaxopt_lab.linear.accelerated import Optimum
from jaxopt_lab.linear.centered import Centered, as_it_is
from jaxopt_lab.linear.coordinate_descent import coordinate_descent
from jaxopt_lab.linear.least_squares import reduced
from jaxopt_lab.linear.smooth_risk import smooth_risk
from jaxopt_lab.linear.working_set import LEAST, working_set


def squared_risk(
    A: Centered,
    t: jax.Array,
    lasso: jax.Array,
    ridge: jax.Array,
    *,
    sparse: bool,
    tolerance: jax.typing.ArrayLike,
    max_iterations: int,
) -> Optimum:
    """`argmin 1/(2 N) ||A w - t||^2 + lasso ||w||_1 + ridge/2 ||w||^2` for each column of t.

    With L1 and of a tall A by coordinate descent on its Gram matrix, or that of a `working_set` of
    columns, which costs a fraction of a QR; else, and where that does not reach the tolerance, as
    the Gram matrix has the square of A's condition number, by accelerated gradients on R and
    `Q^T t`. Of several solutions without a penalty that is the one of minimum norm.

    Args:
      A: (N, d), of columns with mean zero where there is an intercept.
      t: (N, T), so too.
      lasso, ridge: scalars >= 0.
      sparse: static; whether there is an L1 part.
      tolerance: of the certificate.
      max_iterations: of both together; static.

    Returns:
      w (d, T), and certificates and iterations, (T,).
    """
    count, d = A.X.shape

    def by_gradients(start, spent):
        R, reduced_t = reduced(A.whole(), t)

        def column(t, start, spent):
            w, _, optimum = smooth_risk(
                as_it_is(R),
                t[:, None],
                "squared",
                lasso,
                ridge,
                count=count,
                intercept=False,
                start=start[:, None],
                tolerance=tolerance,
                max_iterations=max_iterations - spent,
            )
            return Optimum(w[:, 0], optimum.residual, spent + optimum.iterations)

        return jax.vmap(column, (1, 1, 0), Optimum(1, 0, 0))(reduced_t, start, spent)

    if not sparse or count < d:
        return by_gradients(jnp.zeros((d, t.shape[1]), t.dtype), jnp.zeros(t.shape[1], jnp.int32))

    stop = {"count": count, "max_iterations": max_iterations}

    def by_gram(A, t, lasso, ridge, tolerance):
        gram, given = A.gram() / count, {"tolerance": tolerance, **stop}
        column = lambda t: coordinate_descent(A, t, gram, lasso, ridge, **given)  # noqa: E731
        return jax.vmap(column, 1, Optimum(1, 0, 0))(t)

    @custom_vmap
    def by_few(A, t, lasso, ridge, tolerance):
        few = working_set(A, t[:, 0], lasso, ridge, tolerance=tolerance, **stop)
        found = Optimum(few.x[:, None], few.residual[None], few.iterations[None])

        def by_all():
            other = by_gram(A, t, lasso, ridge, tolerance)
            return other._replace(iterations=other.iterations + few.iterations)

        return lax.cond(few.residual <= tolerance, lambda: found, by_all)

    @by_few.def_vmap
    def _(size, batched, *given):
        # Each lane would have columns of its own, and so a copy of them.
        axes = jax.tree.map(lambda each: 0 if each else None, tuple(batched))
        found = jax.vmap(by_gram, axes, axis_size=size)(*given)
        return found, Optimum(True, True, True)

    solve = by_few if t.shape[1] == 1 and d >= LEAST else by_gram
    found = solve(A, t, lasso, ridge, jnp.asarray(tolerance, t.dtype))
    left = (found.residual > tolerance) & (found.iterations < max_iterations)

    def further():
        # A column that is done has no iteration left.
        other = by_gradients(found.x, jnp.where(left, found.iterations, max_iterations))
        better = left & (other.residual < found.residual)
        return Optimum(
            *(jnp.where(better, new, old) for new, old in zip(other, found, strict=True))
        )

    return lax.cond(left.any(), further, lambda: found)
