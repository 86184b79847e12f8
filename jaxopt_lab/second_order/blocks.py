"""A tensor as blocks of a matrix, each with a matrix for every side."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.mask import BatchAxes, full_batch_axes
from jaxopt_lab.core.norm import squared
from jaxopt_lab.core.tree import flatten_with_names, widen
from jaxopt_lab.core.types import Params


@dataclass(frozen=True)
class Blocks:
    """How a tensor is cut: the matrix of all its axes but the last, by the last.

    Blocks have one shape, as near as can be to equal parts of the matrix no longer than
    `block_size` on any side, and are filled up with zeros. A vector is a matrix of one column, and
    a side of length 1 has no matrix of its own. Leading axes of a batch number layers, each of
    which is cut by itself.
    """

    shape: tuple[int, ...]
    block_size: int
    batch_axes: int = 0

    @property
    def layers(self) -> int:
        """How many there are in the batch."""
        return math.prod(self.shape[: self.batch_axes])

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns."""
        own = self.shape[self.batch_axes :]
        if len(own) < 2:
            return math.prod(own), 1
        return math.prod(own[:-1]), own[-1]

    @property
    def counts(self) -> tuple[int, int]:
        """Blocks of a layer along each side."""
        rows, columns = (max(1, math.ceil(n / self.block_size)) for n in self.matrix)
        return rows, columns

    @property
    def lengths(self) -> tuple[int, int]:
        """Of the sides of a block."""
        rows, columns = (math.ceil(n / k) for n, k in zip(self.matrix, self.counts, strict=True))
        return rows, columns

    @property
    def sides(self) -> tuple[int, ...]:
        """Those with a matrix: 0 for rows, 1 for columns; none of a scalar or an empty tensor."""
        return tuple(i for i, n in enumerate(self.lengths) if n > 1 and math.prod(self.shape) > 0)

    def cut(self, x: jax.Array) -> jax.Array:
        """The tensor as (blocks, m, n), those of a layer side by side."""
        (r, c), (m, n), (rows, columns) = self.counts, self.lengths, self.matrix
        x = x.reshape(self.layers, rows, columns)
        x = jnp.pad(x, ((0, 0), (0, r * m - rows), (0, c * n - columns)))
        x = x.reshape(self.layers, r, m, c, n).swapaxes(2, 3)
        return x.reshape(self.layers * r * c, m, n)

    def join(self, blocks: jax.Array) -> jax.Array:
        """The inverse of `cut`."""
        (r, c), (m, n), (rows, columns) = self.counts, self.lengths, self.matrix
        x = blocks.reshape(self.layers, r, c, m, n).swapaxes(2, 3)
        x = x.reshape(self.layers, r * m, c * n)
        return x[:, :rows, :columns].reshape(self.shape)

    def identities(self, scale: float, dtype: jnp.dtype) -> tuple[jax.Array, ...]:
        """For every side with a matrix (blocks, m, m): `scale` times the identity of each block."""
        count = self.layers * math.prod(self.counts)
        eyes = (scale * jnp.eye(self.lengths[side], dtype=dtype) for side in self.sides)
        return tuple(jnp.tile(eye, (count, 1, 1)) for eye in eyes)

    def squares(self, g: jax.Array) -> tuple[jax.Array, ...]:
        """G G^T for the rows and G^T G for the columns of all blocks (blocks, m, n)."""
        formulas = ("bij,bkj->bik", "bji,bjk->bik")
        return tuple(jnp.einsum(formulas[i], g, g) for i in self.sides)

    def times(self, g: jax.Array, matrices: tuple[jax.Array, ...]) -> jax.Array:
        """P G for the rows, then G P^T for the columns, of the sides that have a P."""
        formulas = ("bik,bkj->bij", "bjk,bik->bij")
        for side, matrix in zip(self.sides, matrices, strict=True):
            g = jnp.einsum(formulas[side], matrix, g)
        return g


def blocks_of(params: Params, block_size: int, batch_axes: BatchAxes) -> dict[str, Blocks]:
    """How each parameter is cut, by its name."""
    axes = flatten_with_names(full_batch_axes(batch_axes, params))
    leaves = flatten_with_names(params)
    return {name: Blocks(x.shape, block_size, axes[name]) for name, x in leaves.items()}


def finite_or_zeros(grads: Any) -> tuple[Any, jax.Array]:
    """Gradients in float32 or wider and whether all squares are finite; zeros where not.

    No product of two entries of a gradient is larger than the sum of its squares.
    """
    g = widen(grads)
    finite = jnp.isfinite(sum((jnp.sum(squared(x)) for x in jax.tree.leaves(g)), jnp.zeros([])))
    return jax.tree.map(lambda x: jnp.where(finite, x, 0), g), finite
