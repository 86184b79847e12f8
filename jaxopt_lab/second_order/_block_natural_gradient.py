"""Natural gradient by blocks."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Count, LearningRate, checked, require_number
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.linalg import dense
from jaxopt_lab.second_order.curvature import Curvature, Fisher
from jaxopt_lab.second_order.damping import Damping
from jaxopt_lab.second_order.fisher_solve import fisher_solve, matrix_solve
from jaxopt_lab.second_order.transformation import by_curvature, with_learning_rate

Blocks = Literal["layer", "leaf"]


class BlockNaturalGradientState(NamedTuple):
    """Steps taken."""

    count: jax.Array


@declare(needs=("curvature",))
@checked
def block_natural_gradient(
    learning_rate: LearningRate,
    damping: Damping = 0.1,
    *,
    fisher: Fisher = "mc",
    blocks: Blocks = "layer",
    max_block: Count = 1024,
) -> optax.GradientTransformationExtraArgs:
    """Natural gradient by blocks: each layer's own Fisher, exactly, and nothing between layers.

    Between `natural_gradient` and `kfac`, which approximates the same blocks.

        theta_l <- theta_l - eta (F_ll + lambda I)^-1 g_l        for each layer l
        theta_j <- theta_j - eta g_j / (F_jj + lambda)           for each j of a layer too large

    With N samples a block of P > N parameters is solved by Woodbury's formula, N x N; across the
    directions that these samples do not see, the step is g / lambda, so lambda must not be small.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      damping: lambda > 0, added to the diagonal; a number, a traced array or a schedule.
      fisher: static; "mc", the Fisher of one draw of labels from the model, or "empirical", of the
        true labels, both from per-example gradients (not for batch normalization); "ggn", the
        generalized Gauss-Newton matrix, by one product for each parameter of a block.
      blocks: static; "layer": leaves side by side in the tree, such as a layer's kernel and bias,
        are one block; "leaf": each is its own.
      max_block: static; the most parameters of a dense block; a larger one is diagonal.

    Returns:
      A transformation; its `update` needs the extra `curvature`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where `curvature` is not given.

    Reference: Le Roux, Manzagol and Bengio, 2008, Topmoumoute online natural gradient algorithm,
    https://papers.nips.cc/paper/3234; Martens and Grosse, 2015, https://arxiv.org/abs/1503.05671,
    section 4.
    """
    return with_learning_rate(
        scale_by_block_natural_gradient(damping, fisher=fisher, blocks=blocks, max_block=max_block),
        learning_rate,
    )


@checked
def scale_by_block_natural_gradient(
    damping: Damping = 0.1,
    *,
    fisher: Fisher = "mc",
    blocks: Blocks = "layer",
    max_block: Count = 1024,
) -> optax.GradientTransformationExtraArgs:
    """`block_natural_gradient` without the step: g becomes (F + lambda I)^-1 g, block by block.

    Args:
      damping, fisher, blocks, max_block: as of `block_natural_gradient`.

    Returns:
      A transformation; state `BlockNaturalGradientState(count)`.
    """

    require_number("block_natural_gradient", max_block=max_block)

    def init(params):
        del params
        return BlockNaturalGradientState(jnp.zeros([], jnp.int32))

    def direction(g, state, curvature, extra):
        del extra
        lam = value_at(damping, state.count)
        leaves, structure = jax.tree.flatten(g)
        solutions = list(leaves)
        samples = None if fisher == "ggn" else jax.tree.leaves(curvature.fisher_grads(fisher))
        for block in _blocks(g, blocks):
            b, unravel = ravel_pytree([leaves[i] for i in block])
            small = len(b) <= max_block
            if samples is None:
                part = _part(curvature, g, block)
                if small:
                    solved = matrix_solve(dense(part.operator("ggn"), part.variables), b, lam)
                else:
                    solved = b / (ravel_pytree(part.ggn_diagonal())[0] + lam)
            else:
                rows = jax.vmap(lambda *x: ravel_pytree(x)[0])(*[samples[i] for i in block])
                solved = fisher_solve(rows, b, lam) if small else b / ((rows**2).mean(0) + lam)
            for i, x in zip(block, unravel(solved), strict=True):
                solutions[i] = x
        count = optax.safe_increment(state.count)
        return jax.tree.unflatten(structure, solutions), BlockNaturalGradientState(count)

    return by_curvature("block_natural_gradient", init, direction)


def _blocks(tree: Any, blocks: Blocks) -> list[list[int]]:
    """The leaves' places in the flattened tree, block by block."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    together: dict[Any, list[int]] = {}
    for i, path in enumerate(paths):
        together.setdefault(path[:-1] if blocks == "layer" else path, []).append(i)
    return list(together.values())


def _part(curvature: Curvature, tree: Any, block: list[int]) -> Curvature:
    """The curvature of one block, in the order of its leaves in the tree."""
    leaves, structure = jax.tree.flatten(tree)
    chosen = jax.tree.unflatten(structure, [i in block for i in range(len(leaves))])
    return curvature.restrict(
        jax.tree.map(lambda m: m is True, chosen, is_leaf=lambda x: isinstance(x, optax.MaskedNode))
    )
