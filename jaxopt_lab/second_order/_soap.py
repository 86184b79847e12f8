"""SOAP: Adam in the eigenbasis of Shampoo."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxopt_lab.core.averages import averaging_weight, step_toward
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.mask import BatchAxes
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
from jaxopt_lab.linalg.one_by_one import eigh, qr
from jaxopt_lab.second_order.blocks import blocks_of, finite_or_zeros
from jaxopt_lab.second_order.periodically import periodically
from jaxopt_lab.second_order.sharing import shared_tree
from jaxopt_lab.second_order.transformation import (
    finite_direction,
    with_learning_rate,
)

Matrices = dict[str, tuple[jax.Array, ...]]


class SoapState(NamedTuple):
    """What SOAP keeps, float32 or wider.

    Attributes:
      count: steps taken.
      mean: the average of g in the eigenbasis, by leaf: (blocks, m, n).
      square: the average of its squares there, likewise.
      statistics: L and R of every block, by leaf: (blocks, m, m) and (blocks, n, n).
      bases: their eigenvectors, as columns.
    """

    count: jax.Array
    mean: dict[str, jax.Array]
    square: dict[str, jax.Array]
    statistics: Matrices
    bases: Matrices


def _shares(opt_state: Any, arguments: Mapping[str, Any]) -> float:
    """The bases, which the devices share."""
    (state,) = find_states(opt_state, SoapState)
    return size_bytes(state.bases) / arguments["every"]


@declare(given={"mesh": "mesh"}, shares=_shares)
@checked
@renamed(beta1="b1", beta2="b2")
def soap(
    learning_rate: LearningRate,
    b1: Decay = 0.95,
    b2: Decay = 0.95,
    eps: Positive = 1e-8,
    *,
    block_size: Count = 256,
    every: Count = 10,
    batch_axes: BatchAxes = None,
    mesh: Mesh | None = None,
) -> optax.GradientTransformationExtraArgs:
    """SOAP: Adam on gradients turned into the eigenbasis of Shampoo's matrices.

    Where `shampoo` would do, with bases that may be older: Adam's scale within them is new at every
    step. It reads no `curvature`.

        L <- average of G G^T,    R <- average of G^T G,    M <- average of G
        Q_L, Q_R: eigenvectors of L and R
        V <- average of (Q_L^T G Q_R)^2
        theta <- theta - eta Q_L ((Q_L^T M Q_R) / (sqrt(V) + e)) Q_R^T

    with b1 for M and b2 for the others, all without the bias of their beginning. Blocks,
    vectors and tensors are as in `shampoo`; a scalar takes Adam's step. The bases are an
    eigendecomposition at the first step, and afterwards Q <- the Q of a QR decomposition of L Q,
    one step of the power iteration; under `vmap` computed when any lane is due. M is kept in the
    basis, and turned with it, which saves two of the eight products of a step.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment.
      b2: 0 <= b2 < 1, decay of L, R and the second moment.
      eps: e > 0, added to the root; it keeps the rounding noise of directions that no gradient has
        had from becoming steps.
      block_size: static; the longest side of a block.
      every: static; steps from one computation of the bases to the next.
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

    Reference: Vyas et al., 2024, https://arxiv.org/abs/2409.11321, Algorithms 3 and 4.

    Differs from: the paper's code takes no step with the first gradient, and computes new bases
    after a step rather than before it; it leaves sides above 10,000 and vectors in their own
    basis, has no blocks, and decays weights.
    """
    return with_learning_rate(
        scale_by_soap(
            b1, b2, eps, block_size=block_size, every=every, batch_axes=batch_axes, mesh=mesh
        ),
        learning_rate,
    )


@checked
@renamed(beta1="b1", beta2="b2")
def scale_by_soap(
    b1: Decay = 0.95,
    b2: Decay = 0.95,
    eps: Positive = 1e-8,
    *,
    block_size: Count = 256,
    every: Count = 10,
    batch_axes: BatchAxes = None,
    mesh: Mesh | None = None,
) -> optax.GradientTransformationExtraArgs:
    """`soap` without the step: g becomes what eta multiplies.

    Args:
      b1, b2, eps, block_size, every, batch_axes, mesh: as of `soap`.

    Returns:
      A transformation; state `SoapState(count, mean, square, statistics, bases)`.
    """

    require_number("soap", block_size=block_size)

    def init(params):
        refuse_complex("soap", params)
        blocks = blocks_of(params, block_size, batch_axes)

        def zeros():
            leaves = flatten_with_names(zeros_accumulator(params))
            return {name: blocks[name].cut(p) for name, p in leaves.items()}

        mean, square = zeros(), zeros()  # each its own memory, to be donated
        return SoapState(
            jnp.zeros([], jnp.int32),
            mean,
            square,
            {name: b.identities(0, mean[name].dtype) for name, b in blocks.items()},
            {name: b.identities(1, mean[name].dtype) for name, b in blocks.items()},
        )

    def update(grads, state, params=None, **extra):
        del params, extra
        g, finite = finite_or_zeros(grads)
        count = jnp.where(finite, optax.safe_increment(state.count), state.count)
        first, second = (jnp.where(finite, averaging_weight(beta, count), 0) for beta in (b1, b2))
        leaves = flatten_with_names(g)
        blocks = blocks_of(g, block_size, batch_axes)
        cut = {name: blocks[name].cut(x) for name, x in leaves.items()}
        new = {name: blocks[name].squares(x) for name, x in cut.items()}
        statistics = step_toward(state.statistics, new, second)
        start = state.count == 0

        def into(bases, x):
            return {
                name: b.times(x[name], jax.tree.map(jnp.matrix_transpose, bases[name]))
                for name, b in blocks.items()
            }

        def out_of(bases, x):
            return {name: b.times(x[name], bases[name]) for name, b in blocks.items()}

        def turned():
            bases = shared_tree(_power_iteration, mesh, statistics, state.bases)
            return bases, into(bases, out_of(state.bases, state.mean))

        bases, mean = periodically(
            ~start & (state.count % every == 0), turned, (state.bases, state.mean)
        )
        bases = periodically(start, lambda: shared_tree(_eigenbasis, mesh, statistics), bases)
        rotated = into(bases, cut)
        mean = step_toward(mean, rotated, first)
        square = step_toward(state.square, jax.tree.map(jnp.square, rotated), second)
        scaled = jax.tree.map(lambda m, v: m / (root(v) + eps), mean, square)
        parts = [blocks[name].join(x) for name, x in out_of(bases, scaled).items()]
        direction = finite_direction(jax.tree.structure(g).unflatten(parts), g)
        return cast_like(direction, grads), SoapState(count, mean, square, statistics, bases)

    return transformation(init, full_precision(update))


def _eigenbasis(matrices: jax.Array) -> jax.Array:
    """Eigenvectors as columns, that of the largest eigenvalue first, as a power iteration has."""
    return jnp.flip(jax.vmap(eigh)(matrices)[1], -1)


def _power_iteration(matrices: jax.Array, basis: jax.Array) -> jax.Array:
    """One step of the power iteration from a basis near the eigenvectors."""
    return jax.vmap(qr)(jnp.matmul(matrices, basis))[0]
