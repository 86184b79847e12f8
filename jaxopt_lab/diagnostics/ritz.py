"""What Lanczos' tridiagonal says of the matrix, and how a matrix is handed to Lanczos."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.norm import largest, power_of_two
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.tree import cast_like, is_trained, widen
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg import LanczosResult, Product
from jaxopt_lab.linalg.one_by_one import eigh


class Ritz(NamedTuple):
    """T's eigenvalues (k,) ascending, its eigenvectors in columns (k, k), and which are real (k,).

    The vectors after the last dimension are zeros, and their rows of T no part of the matrix: what
    belongs to them comes last and is False.
    """

    values: jax.Array
    vectors: jax.Array
    real: jax.Array


def ritz(found: LanczosResult) -> Ritz:
    """The eigenvalues and eigenvectors of T; NaN where T holds one."""
    leaves = [q.reshape(len(q), -1) for q in jax.tree.leaves(found.basis)]
    there = jnp.stack([(q != 0).any(1) for q in leaves]).any(0)
    # By a power of two nothing is rounded, and no tiny or huge matrix leaves the range of floats.
    scale = power_of_two(largest((found.diagonal, found.off_diagonal)))
    diagonal, off = found.diagonal / scale, found.off_diagonal / scale
    # All real eigenvalues are within |alpha| + 2 |beta| <= 3: from 4, eigh mixes none with them.
    t = jnp.diag(jnp.where(there, diagonal, 4)) + jnp.diag(off, 1) + jnp.diag(off, -1)
    values, vectors = eigh(t)
    # LAPACK may give numbers for a matrix that holds NaN.
    values = jnp.where(jnp.isfinite(t).all(), scale * values, jnp.nan)
    return Ritz(values, vectors, jnp.arange(len(values)) < there.sum())


def widened(method: str, product: Product, like: Params) -> tuple[Product, Params]:
    """The operator in float32 or wider, with matrix products at full precision; and `like` so.

    Vectors are wide and orthogonal where parameters are bfloat16; only the operator sees narrow
    ones.

    Raises:
      InputError: where `like` holds no numbers, or whole ones.
    """
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(like)]
    if not sum(leaf.size for leaf in leaves) or not all(map(is_trained, leaves)):
        got = sorted({str(leaf.dtype) for leaf in leaves}) or "an empty tree"
        raise InputError(
            f"{method}: like must be a pytree of floating arrays, at least one number in all, got "
            f"{got}; give the parameters that are trained, and close the model over the rest"
        )
    narrow = jax.tree.map(jnp.asarray, like)

    @full_precision
    def wide_product(v):
        return widen(product(cast_like(v, narrow)))

    return wide_product, widen(narrow)
