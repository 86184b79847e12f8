"""The density of a matrix's eigenvalues."""

from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, Positive, Range, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.ritz import ritz, widened
from jaxopt_lab.linalg import Product, lanczos, signs

_MARGIN = 5  # widths beyond the outermost nodes: less than 1e-6 of a Gaussian is outside


class Spectrum(NamedTuple):
    """The density (points,) on a grid (points,), and what it is made of.

    `nodes` and `weights` (probes, steps): the raw quadrature, whose weights sum to 1 in all; those
    after the last dimension are 0. `width`: the standard deviation of the Gaussian at each node.
    """

    grid: jax.Array
    density: jax.Array
    nodes: jax.Array
    weights: jax.Array
    width: jax.Array


@checked
@full_precision
def hessian_spectrum(
    product: Product,
    like: Params,
    key: jax.Array,
    *,
    probes: Count = 10,
    steps: Count = 80,
    points: Annotated[int, Range(32)] = 1024,
    width: Positive = 0.01,
) -> Spectrum:
    """The spectral density of a symmetric matrix by stochastic Lanczos quadrature.

        T_i = Lanczos(A, z_i),    T_i y_ij = l_ij y_ij,    w_ij = (first entry of y_ij)^2 / probes
        density(t) = sum_ij w_ij N(t; l_ij, sigma^2),    E sum_ij w_ij f(l_ij) = tr f(A) / P

    Use it for the whole spectrum of a network: the bulk at zero and the outliers. The probes are
    random signs, so the mean of a diagonal matrix's spectrum, tr A / P, is exact. The density
    integrates to 1 over the grid. Takes `probes * steps` products and the memory of `steps`
    vectors.

    All arithmetic is in float32 or wider, and matrix products at full precision ("highest").

    Args:
      product: `v -> A v`, symmetric, such as `mean_hessian`.
      like: a pytree of floating arrays, the shapes and dtypes of v; P numbers in all.
      key: of the probes.
      probes: random starts; the error of an average falls with the root of their number.
      steps: of Lanczos from each; may exceed P.
      points: of the grid, >= 32, from 5 sigma below the least node to 5 sigma above the greatest.
      width: sigma as a share of the range of the nodes. No less than a grid step is taken, so that
        nothing falls between two points. The range of a matrix with one eigenvalue counts as that
        eigenvalue's magnitude, and of the zero matrix as 1.

    Returns:
      `Spectrum(grid, density, nodes, weights, width)`; `width` is sigma itself.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where `like` holds no floating numbers.

    Reference: Ghorbani, Krishnan and Xiao, 2019, https://arxiv.org/abs/1901.10159, and Ubaru, Chen
      and Saad, 2017, https://doi.org/10.1137/16M1104974

    Differs from: PyHessian, whose sigma is absolute, and which divides the density by its integral.
    """
    product, like = widened("hessian_spectrum", product, like)

    def of_probe(key):
        values, vectors, real = ritz(lanczos(product, signs(key, like), steps))
        # A node of weight 0 lies among the others, where it moves no end of the grid.
        return jnp.where(real, values, values[0]), jnp.where(real, vectors[0] ** 2, 0)

    nodes, weights = jax.lax.map(of_probe, jax.random.split(key, probes))
    return _broadened(nodes, weights / weights.sum(), points, width)


@partial(jax.jit, static_argnums=2)
def _broadened(nodes, weights, points, width):
    """The spectrum on its grid."""
    low, high = nodes.min(), nodes.max()
    largest = jnp.maximum(jnp.abs(low), jnp.abs(high))
    one_value = high - low <= 100 * jnp.finfo(nodes.dtype).eps * largest
    extent = jnp.where(one_value, jnp.where(largest > 0, largest, 1), high - low)
    sigma = extent * jnp.maximum(width, 1 / (points - 1 - 2 * _MARGIN))
    grid = jnp.linspace(low - _MARGIN * sigma, high + _MARGIN * sigma, points)
    z = (grid[:, None] - nodes.ravel()[None]) / sigma
    density = jnp.exp(-(z**2) / 2) @ weights.ravel() / (sigma * jnp.sqrt(2 * jnp.pi))
    return Spectrum(grid, density, nodes, weights, sigma)
