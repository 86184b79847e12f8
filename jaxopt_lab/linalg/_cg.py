"""Conjugate gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.norm import largest, power_of_two
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.tree import cast_like
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg.products import Product


class CGResult(NamedTuple):
    """The solution, |b - A x|, and whether a direction of no or negative curvature ended it."""

    x: Params
    residual: jax.Array
    negative_curvature: jax.Array


@checked
@full_precision
def cg(
    product: Product,
    b: Params,
    *,
    iterations: Count,
    preconditioner: Product | None = None,
    x0: Params | None = None,
) -> CGResult:
    """Solve A x = b by conjugate gradients, for a positive definite A of which only products exist.

        alpha = r.z / p.A p,    x <- x + alpha p,    r <- r - alpha A p
        z = M^-1 r,    p <- z + (r.z / last r.z) p

    A fixed number of iterations, so that it runs under `vmap` and `scan`. It stands still from
    where it has converged, where p.A p <= 0 (what has been found so far minimizes the quadratic
    over the directions before), and where a number is not finite.

    Its derivative, in b and in what `product` closes over, is that of A^-1 b, by one more solve;
    in x0 it is zero. Its own steps have none once they stand still.

    Args:
      product: v -> A v.
      b: a pytree of floating arrays, or of complex ones for a Hermitian A.
      iterations: how many; exact arithmetic needs as many as A has different eigenvalues.
      preconditioner: r -> M^-1 r, positive definite; None for none.
      x0: where to start; None for zero.

    Returns:
      `CGResult(x, residual, negative_curvature)`; `x` is finite if `b`, `x0` and the
      solution are.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Hestenes and Stiefel, 1952, https://doi.org/10.6028/jres.049.044

    Differs from: `jax.scipy.sparse.linalg.cg`, which divides by zero once it has converged.
    """
    precondition = preconditioner or (lambda r: r)
    hermitian = any(map(jnp.iscomplexobj, jax.tree.leaves(b)))

    def transpose_solve(product, b):
        """With A^T, which is the conjugate of A: the derivative's system."""
        return _solve(product, b, iterations, lambda r: _conj(precondition(_conj(r))), None)

    # The barriers give every leaf a tangent: JAX has none for a solve where some leaves lack one.
    x, (residual, negative) = jax.lax.custom_linear_solve(
        lambda v: jax.lax.optimization_barrier(product(v)),
        jax.lax.optimization_barrier(b),
        lambda _, b: _solve(product, b, iterations, precondition, x0),
        transpose_solve,
        symmetric=not hermitian,
        has_aux=True,
    )
    return CGResult(jax.lax.optimization_barrier(x), residual, negative)


def _solve(
    product: Product,
    b: Params,
    iterations: int,
    precondition: Product,
    x0: Params | None,
) -> tuple[Params, tuple[jax.Array, jax.Array]]:
    """The solution, |b - A x|, and whether a direction of no or negative curvature ended it."""
    if x0 is None:
        x, r = optax.tree.zeros_like(b), b
    else:
        x = cast_like(x0, b)
        r = optax.tree.sub(b, product(x))
    # Linear in the scale of r and x: by a power of two nothing is rounded, and no square is lost.
    scale = _scale(r, x)
    x, r = (jax.tree.map(lambda v: v / scale.astype(v.real.dtype), v) for v in (x, r))
    p = precondition(r)
    start = (x, r, p, _dot(r, p), jnp.array(True), jnp.array(False))

    def body(_, carry):
        x, r, p, rz, going, negative = carry
        ap = product(p)
        curvature = _dot(p, ap)
        usable = going & (rz > 0) & jnp.isfinite(rz) & jnp.isfinite(curvature)
        negative |= usable & (curvature <= 0)
        going = usable & (curvature > 0)
        alpha = rz / jnp.where(going, curvature, 1)
        x_new, r_new = _axpy(alpha, p, x), _axpy(-alpha, ap, r)
        z = precondition(r_new)
        rz_new = _dot(r_new, z)
        going &= jnp.isfinite(rz_new)
        p_new = _axpy(rz_new / jnp.where(going, rz, 1), p, z)
        new, old = (x_new, r_new, p_new, rz_new), (x, r, p, rz)
        kept = jax.tree.map(lambda a, b: jnp.where(going, a, b), new, old)
        return *kept, going, negative

    x, r, _, _, _, negative = jax.lax.fori_loop(0, iterations, body, start)
    x = jax.tree.map(lambda v: (v * scale.astype(v.real.dtype)).astype(v.dtype), x)
    return x, (scale * jnp.sqrt(_dot(r, r)), negative)


def _scale(r, x):
    """The power of two next to the largest of r, if that of x may be divided by it."""
    return power_of_two(jnp.maximum(largest(r), largest(x) * 2**-60))


def _conj(tree):
    return jax.tree.map(jnp.conj, tree)


def _dot(a, b):
    return jnp.asarray(optax.tree.vdot(a, b)).real


def _axpy(alpha, x, y):
    return jax.tree.map(lambda x, y: (alpha * x + y).astype(y.dtype), x, y)
