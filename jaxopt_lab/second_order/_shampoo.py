"""Shampoo: a full matrix for every side of a gradient."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxopt_lab.core.averages import averaging_weight, step_toward
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.mask import BatchAxes, full_batch_axes
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, Decay, LearningRate, Positive, checked, require_number
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import refuse_complex, transformation
from jaxopt_lab.core.tree import (
    cast_like,
    find_states,
    flatten_with_names,
    size_bytes,
    zeros_accumulator,
)
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg.one_by_one import eigh
from jaxopt_lab.second_order.blocks import blocks_of, finite_or_zeros
from jaxopt_lab.second_order.periodically import periodically
from jaxopt_lab.second_order.sharing import shared_tree
from jaxopt_lab.second_order.transformation import (
    finite_direction,
    with_learning_rate,
)

Graft = Literal["adam", "sgd", "none"]
Matrices = dict[str, tuple[jax.Array, ...]]


class ShampooState(NamedTuple):
    """What Shampoo keeps, float32 or wider.

    Attributes:
      count: steps taken.
      mean: the average of the directions.
      square: the average of g^2, for grafting.
      statistics: L and R of every block, by leaf: (blocks, m, m) and (blocks, n, n).
      roots: their inverse roots of the last computation.
    """

    count: jax.Array
    mean: Params
    square: Params
    statistics: Matrices
    roots: Matrices


def _shares(opt_state: Any, arguments: Mapping[str, Any]) -> float:
    """The roots, which the devices share."""
    (state,) = find_states(opt_state, ShampooState)
    return size_bytes(state.roots) / arguments["every"]


@declare(given={"mesh": "mesh"}, shares=_shares)
@checked
@renamed(beta1="b1", beta2="b2")
def shampoo(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.99,
    eps: Positive = 1e-6,
    *,
    block_size: Count = 128,
    every: Count = 10,
    graft: Graft = "adam",
    batch_axes: BatchAxes = None,
    mesh: Mesh | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Shampoo: each gradient between the inverse roots of its rows' and its columns' covariance.

    A full-matrix method for every kind of layer, from gradients alone: it reads no `curvature`.

        L <- average of G G^T,    R <- average of G^T G            with b2
        U  = (L + e max(l) I)^(-1/4) G (R + e max(r) I)^(-1/4)
        U <- U |a| / |U|,    a = g / (sqrt(v) + 1e-8),  v <- average of g^2     graft="adam"
        m <- average of U with b1,    theta <- theta - eta m

    where l and r are the eigenvalues. A tensor of rank above 2 is taken as the matrix of all its
    axes but the last, by the last, and a matrix is cut into blocks, each with its own L and R. A
    vector, or a matrix with one row or column, has one side and so the power -1/2; a scalar has
    none and takes g itself. Grafting gives U the length of another method's step, so that rates
    tuned for that one serve here: a = g for "sgd", and U as it is for "none".
    All averages are without the bias of their beginning.

    The roots cost an eigendecomposition of every block; under `vmap` they are computed when any
    lane is due, so at their usual price for lanes that count alike.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the average of directions; 0 for none.
      b2: 0 <= b2 < 1, decay of L, R and v.
      eps: e > 0, what is added to the eigenvalues, as a share of the largest.
      block_size: static; the longest side of a block.
      every: static; steps from one computation of the roots to the next, the first at the first.
      graft: static; "adam", "sgd" or "none".
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        have matrices of their own; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.
      mesh: static; the devices that share a run, each of which then works on its part of the
        factors; None for one device.

    Returns:
      A transformation; state `WithLearningRateState(count, inner)`. A gradient that is not finite,
      or whose squares are not, is left out of all averages.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Gupta et al., 2018, https://arxiv.org/abs/1802.09568; blocks and grafting: Anil et
    al., 2020, https://arxiv.org/abs/2002.09018

    Differs from: Gupta et al. sum L and R where here they are averages, and take a tensor with a
    matrix for every axis.
    """
    return with_learning_rate(
        scale_by_shampoo(
            b1,
            b2,
            eps,
            block_size=block_size,
            every=every,
            graft=graft,
            batch_axes=batch_axes,
            mesh=mesh,
        ),
        learning_rate,
    )


@checked
@renamed(beta1="b1", beta2="b2")
def scale_by_shampoo(
    b1: Decay = 0.9,
    b2: Decay = 0.99,
    eps: Positive = 1e-6,
    *,
    block_size: Count = 128,
    every: Count = 10,
    graft: Graft = "adam",
    batch_axes: BatchAxes = None,
    mesh: Mesh | None = None,
) -> optax.GradientTransformationExtraArgs:
    """`shampoo` without the step: g becomes m.

    Args:
      b1, b2, eps, block_size, every, graft, batch_axes, mesh: as of `shampoo`.

    Returns:
      A transformation; state `ShampooState(count, mean, square, statistics, roots)`.
    """

    require_number("shampoo", block_size=block_size)

    def with_length_of(direction, target):
        axes = full_batch_axes(batch_axes, direction)
        return jax.tree.map(_with_length_of, axes, direction, target)

    def init(params):
        refuse_complex("shampoo", params)
        zeros = flatten_with_names(zeros_accumulator(params))
        blocks = blocks_of(params, block_size, batch_axes)
        return ShampooState(
            jnp.zeros([], jnp.int32),
            zeros_accumulator(params),
            zeros_accumulator(params),
            {name: b.identities(0, zeros[name].dtype) for name, b in blocks.items()},
            {name: b.identities(1, zeros[name].dtype) for name, b in blocks.items()},
        )

    def update(grads, state, params=None, **extra):
        del params, extra
        g, finite = finite_or_zeros(grads)
        count = jnp.where(finite, optax.safe_increment(state.count), state.count)
        weight = jnp.where(finite, averaging_weight(b2, count), 0)
        square = step_toward(state.square, jax.tree.map(jnp.square, g), weight)
        leaves = flatten_with_names(g)
        blocks = blocks_of(g, block_size, batch_axes)
        cut = {name: blocks[name].cut(x) for name, x in leaves.items()}
        new = {name: blocks[name].squares(x) for name, x in cut.items()}
        statistics = step_toward(state.statistics, new, weight)

        def take_roots():
            found = {}
            for order in sorted({len(sides) for sides in statistics.values()}):
                alike = {name: sides for name, sides in statistics.items() if len(sides) == order}
                found |= shared_tree(partial(_inverse_root, root=2 * order, eps=eps), mesh, alike)
            return {name: found[name] for name in statistics}

        roots = periodically(state.count % every == 0, take_roots, state.roots)
        parts = [b.join(b.times(cut[name], roots[name])) for name, b in blocks.items()]
        direction = jax.tree.structure(g).unflatten(parts)
        if graft == "adam":
            target = jax.tree.map(lambda g, v: g / (root(v) + 1e-8), g, square)
            direction = with_length_of(direction, target)
        elif graft == "sgd":
            direction = with_length_of(direction, g)
        direction = finite_direction(direction, g)
        weight = jnp.where(finite, averaging_weight(b1, count), 0)
        mean = step_toward(state.mean, direction, weight)
        return cast_like(mean, grads), ShampooState(count, mean, square, statistics, roots)

    return transformation(init, full_precision(update))


def _inverse_root(matrices: jax.Array, root: int, eps: jax.Array) -> jax.Array:
    """(M + e max(l) I)^(-1/root) of each of (blocks, m, m); the identity where M is zero."""
    values, vectors = jax.vmap(eigh)(matrices)
    largest = jnp.maximum(values[:, -1:], 0)
    values = jnp.maximum(values, 0) + eps * largest
    powers = jnp.where(largest > 0, values, 1) ** (-1 / root)
    return jnp.einsum("bij,bj,bkj->bik", vectors, powers, vectors)


def _with_length_of(batch_axes: int, direction: jax.Array, target: jax.Array) -> jax.Array:
    """The direction of a layer, or of each, with the length of the target."""
    own = tuple(range(batch_axes, direction.ndim))
    lengths = (jnp.sqrt(jnp.sum(x**2, own, keepdims=True)) for x in (direction, target))
    length, wanted = lengths
    return direction * wanted / jnp.where(length > 0, length, 1)
