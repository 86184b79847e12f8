"""The sizes of numbers and of trees of them, right over the whole range of floats."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.tree import widen


def squared(z: jax.Array) -> jax.Array:
    """|z|^2, elementwise and real: second moments are of this, of complex numbers too."""
    return z.real * z.real + z.imag * z.imag if jnp.iscomplexobj(z) else z * z


@jax.custom_jvp
def root(x: jax.Array) -> jax.Array:
    """The square root, whose derivative at 0 counts as 0.

    It is infinite there, and times the 0 that follows it in an optimizer's step it would be NaN: of
    |g|, which is sqrt(g^2), 0 is a subgradient. Values are those of `jnp.sqrt` to the bit.
    """
    return jnp.sqrt(x)


@root.defjvp
def _(primals, tangents):
    y, (tangent,) = root(*primals), tangents
    at_zero = y == 0
    return y, jnp.where(at_zero, 0, tangent / (2 * jnp.where(at_zero, 1, y)))


class Norm(NamedTuple):
    """The Euclidean norm as `size / inverse`, which may be out of a float's range.

    `inverse` is a power of two, and 1 unless squares overflow or underflow.
    """

    inverse: jax.Array
    size: jax.Array

    @property
    def reciprocal(self) -> jax.Array:
        """What makes the tree one of length 1; finite where it is zeros, which it leaves zeros."""
        return self.inverse / jnp.where(self.size > 0, self.size, 1)


def norm(tree: Any, least: jax.typing.ArrayLike = 0.0) -> Norm:
    """The norm of all leaves together, in float32 or wider.

    Args:
      tree: of floating or complex numbers.
      least: what it is compared with: one far below may come out as 0.
    """
    return _norms([jax.tree.leaves(tree)], least)[0]


def norms(tree: Any, least: jax.typing.ArrayLike = 0.0) -> list[Norm]:
    """The norm of each leaf, in their order; see `norm`."""
    return _norms([[leaf] for leaf in jax.tree.leaves(tree)], least)


def _norms(groups: Sequence[Sequence[jax.Array]], least: jax.typing.ArrayLike) -> list[Norm]:
    """Of each group. A second and third pass over memory are taken where squares need them only."""
    groups = [widen(list(group)) for group in groups]
    if not groups:
        return []
    totals = [_sum_of_squares(group) for group in groups]
    sizes = [sum(x.size for x in group) for group in groups]
    lost = [_leaves_range(t, n, least) for t, n in zip(totals, sizes, strict=True)]
    # Of functions that stay the same, because outside of jit each new one would be compiled.
    pairs = lax.cond(jnp.stack(lost).any(), _rescaled, _plain, groups, totals)
    return [Norm(inverse, root(total)) for inverse, total in pairs]


def _plain(groups, totals):
    del groups
    return [(jnp.ones_like(total), total) for total in totals]


def _rescaled(groups, totals):
    # A leaf that is constant, as the gradient of an unused parameter is, XLA would square apart
    # from the factor, whose own square may overflow: infinity times 0.
    groups = lax.optimization_barrier(groups)
    inverses = [
        1 / power_of_two(largest(group).astype(total.dtype))
        for group, total in zip(groups, totals, strict=True)
    ]
    return [
        (inverse, _sum_of_squares([inverse * x for x in group]))
        for group, inverse in zip(groups, inverses, strict=True)
    ]


def _sum_of_squares(group: Sequence[jax.Array]) -> jax.Array:
    parts = [jnp.sum(squared(x)) for x in group]
    return functools.reduce(jnp.add, parts) if parts else jnp.zeros([])


def _leaves_range(total: jax.Array, count: int, least: jax.typing.ArrayLike) -> jax.Array:
    """Whether a sum of so many squares is infinite, or so small that some may be lost in it."""
    finfo = jnp.finfo(total.dtype)
    low = float(finfo.tiny) / float(finfo.eps) * max(count, 1)
    matters = jnp.asarray(least, total.dtype) ** 2 < low
    return ~(total < jnp.inf) | ((total < low) & matters)


def largest(tree: Any) -> jax.Array:
    """The largest |x| of all leaves, in float32 or wider; without a derivative."""
    leaves = jax.tree.leaves(widen(lax.stop_gradient(tree)))
    sizes = [jnp.abs(x).max(initial=0) for x in leaves]
    return functools.reduce(jnp.maximum, sizes) if sizes else jnp.zeros([])


def power_of_two(x: jax.Array) -> jax.Array:
    """The power of two next above x, which can be divided by; 1 where x is 0 or not finite."""
    finfo = jnp.finfo(x.dtype)
    exponent = jnp.clip(jnp.frexp(x)[1], finfo.minexp, -finfo.minexp)
    return jnp.ldexp(jnp.ones_like(x), exponent)
