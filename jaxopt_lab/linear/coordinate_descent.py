"""Coordinate descent for least squares, on the Gram matrix."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.linear.accelerated import EVERY, Optimum, soft_threshold
from jaxopt_lab.linear.centered import Centered

# A round's own accuracy, of what it begins with: the next round's gradient is taken from A anew.
SHARE = 1e-4

# A problem that takes more is ill-conditioned: accelerated gradients then take fewer steps.
MOST_SWEEPS = 1000


class _Round(NamedTuple):
    """Where descent stands: coefficients and the gradient of the loss there, both (d,)."""

    w: jax.Array
    gradient: jax.Array
    residual: jax.Array
    sweeps: jax.Array


def certificate_of(
    lengths: jax.Array,
    start: jax.Array,
    t: jax.Array,
    lasso: jax.Array,
    ridge: jax.Array,
    count: int,
) -> tuple[Callable[[jax.Array, jax.Array], jax.Array], jax.Array]:
    """How far coefficients are from the optimum: that of `smooth_risk`, with a step for each.

    Args:
      lengths: G_jj, (d,), positive.
      start: the gradient of the loss at zero, (d,).
      t, lasso, ridge, count: as of `coordinate_descent`.

    Returns:
      `(w, gradient there) -> certificate`, and below which value it is rounding.
    """

    def size(step):
        return jnp.sqrt((step**2 * lengths).sum())

    def certificate(w, g):
        stepped = soft_threshold(w - g / lengths, lasso / lengths) / (1 + ridge / lengths)
        return size(w - stepped) / scale

    scale = size(start / lengths)
    scale = jnp.where(scale > 0, scale, 1)
    # By Cauchy and Schwarz, no gradient sums terms of more than this.
    terms = jnp.sqrt((t**2).sum() * lengths / count)
    return certificate, jnp.finfo(lengths.dtype).eps * size(terms / lengths) / scale


def coordinate_descent(
    A: Centered,
    t: jax.Array,
    gram: jax.Array,
    lasso: jax.Array,
    ridge: jax.Array,
    *,
    count: int,
    tolerance: jax.typing.ArrayLike,
    max_iterations: jax.typing.ArrayLike,
    known: tuple[jax.Array, jax.Array, jax.Array] | None = None,
) -> Optimum:
    """`argmin 1/(2 count) ||A w - t||^2 + lasso ||w||_1 + ridge/2 ||w||^2`, where A is tall.

        w_j = S(w_j G_jj - g_j, lasso) / (G_jj + ridge),    G = A^T A / count
        g += G_j (the change of w_j)

    in turn for each j. A sweep over all costs d^2, whatever the number of samples is. What is
    rounded in G and in g is mended as in iterative refinement: g is taken from A itself, and
    descent goes on from there, until the certificate holds of that g.

    Args:
      A: of N rows and d columns.
      t: (N,).
      gram: G, (d, d).
      lasso, ridge: scalars >= 0.
      count: samples that the rows of A stand for.
      tolerance, max_iterations: of the certificate and of sweeps; the latter is rounded up to 10.
      known: w to begin with, the gradient at zero and that at w, (d,) each; None to begin at zero.

    Returns:
      w (d,), and its certificate: that of `smooth_risk`, with a step size for each coordinate. A
      problem too ill-conditioned for its Gram matrix ends with one above the tolerance.

    Reference: Friedman, Hastie and Tibshirani, 2010, section 2.2,
    https://doi.org/10.18637/jss.v033.i01; refinement: Björck, 1987,
    https://doi.org/10.1016/0024-3795(87)90101-7.
    """
    lengths = jnp.diagonal(gram)
    lengths = jnp.where(lengths > 0, lengths, 1)  # of a column of zeros, whose gradient is zero
    columns = jnp.arange(len(gram))

    def gradient(w):
        return A.summed(lambda rows, t: (rows @ w - t) @ rows, t) / count

    if known is None:
        zero = jnp.zeros_like(lengths)
        known = zero, (start := gradient(zero)), start
    begin, start, there = known
    certificate, rounding = certificate_of(lengths, start, t, lasso, ridge, count)

    def coordinate(carry, j):
        w, g = carry
        new = soft_threshold(w[j] * lengths[j] - g[j], lasso) / (lengths[j] + ridge)
        return (w.at[j].set(new), g + gram[j] * (new - w[j])), None

    def sweep(_, carry):
        return lax.scan(coordinate, carry, columns)[0]

    def descend(at):
        """Sweeps until its own certificate is small beside the one it begins with."""
        enough = jnp.maximum(SHARE * at.residual, tolerance / 4)

        def unfinished(inner):
            going = (inner.residual > enough) & (inner.sweeps < most)
            return going | (inner.sweeps == at.sweeps)

        def several(inner):
            w, g = lax.fori_loop(0, EVERY, sweep, (inner.w, inner.gradient))
            return _Round(w, g, certificate(w, g), inner.sweeps + EVERY)

        found = lax.while_loop(unfinished, several, at)
        g = gradient(found.w)
        return _Round(found.w, g, certificate(found.w, g), found.sweeps)

    def improving(carry):
        at, before = carry
        going = (at.residual > tolerance) & (at.sweeps < most) & (at.residual < before / 2)
        return going | (at.sweeps == 0)

    def again(carry):
        at, _ = carry
        return descend(at), at.residual

    most = jnp.minimum(max_iterations, MOST_SWEEPS)
    one = jnp.ones([], gram.dtype)
    at = _Round(begin, there, one, jnp.zeros([], jnp.int32))
    found, _ = lax.while_loop(improving, again, (at, one))
    # No more than rounding is no residual; but a round that made it less was worth its while.
    residual = jnp.where(found.residual <= rounding, 0, found.residual)
    return Optimum(found.w, residual, found.sweeps)
