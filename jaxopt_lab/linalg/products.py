"""Products with the Hessian, the Gauss-Newton matrix and the Fisher, none of which is formed.

Each comes twice: as a product, and as an operator that is linearized once and then applied as often
as one likes, for a loop. None takes forward mode through a model, whose layers may be a
`jax.custom_vjp` and have none: J v is the transpose of the linear map u -> J^T u, a vjp of a vjp.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxopt_lab.core.types import Params

Product = Callable[[Params], Params]
"""`v -> A v`, on pytrees of one structure."""


def hvp(f: Callable[[Params], jax.Array], params: Params, v: Params) -> Params:
    """The product of the Hessian of a scalar function with a vector.

        H v = d/d theta (grad f(theta) . v)

    Args:
      f: `params -> scalar`.
      params: where; a pytree of floating arrays.
      v: a pytree as `params`.

    Returns:
      H v, a pytree as `params`; by reverse over reverse mode, about 4 times the cost of `f`.

    Reference: Pearlmutter, 1994, https://doi.org/10.1162/neco.1994.6.1.147
    """
    return hessian_operator(f, params)(v)


def hessian_operator(f: Callable[[Params], jax.Array], params: Params) -> Product:
    """`v -> H v` of a scalar function, linearized once: see `hvp`."""
    _, pull = jax.vjp(jax.grad(f), params)
    return lambda v: pull(v)[0]  # H is its own transpose


def ggn_vp(
    model_fn: Callable[[Params], jax.Array],
    output_loss: Callable[[jax.Array], jax.Array],
    params: Params,
    v: Params,
) -> Params:
    """The product of the generalized Gauss-Newton matrix with a vector.

        G v = 1/B J^T H J v,    J = d outputs / d theta,  H = Hessian of the losses in the outputs

    Positive semi-definite wherever the loss is convex in the outputs, and equal to the Hessian
    where the model is linear.

    Args:
      model_fn: `params -> outputs` (B, ...).
      output_loss: `outputs -> (B,)`, each value of its own row of the outputs only.
      params: where; a pytree of floating arrays.
      v: a pytree as `params`.

    Returns:
      G v, a pytree as `params`.

    Reference: Schraudolph, 2002, https://doi.org/10.1162/08997660260028683
    """
    return ggn_operator(model_fn, output_loss, params)(v)


def ggn_operator(
    model_fn: Callable[[Params], jax.Array],
    output_loss: Callable[[jax.Array], jax.Array],
    params: Params,
) -> Product:
    """`v -> G v` of the generalized Gauss-Newton matrix, linearized once: see `ggn_vp`."""
    outputs, push, pull = _linearized(model_fn, params)
    gradient = jax.grad(lambda outputs: output_loss(outputs).sum())
    _, curve = jax.linearize(gradient, outputs)  # of the loss, which has forward mode
    return lambda v: _mean(pull(curve(push(v)).astype(outputs.dtype)), len(outputs))


def fisher_vp(
    model_fn: Callable[[Params], jax.Array], output_grads: jax.Array, params: Params, v: Params
) -> Params:
    """The product of a Fisher matrix, given by the losses' gradients in the outputs, with a vector.

        F v = 1/B sum_i g_i (g_i . v),    g_i = J_i^T u_i

    With u of labels drawn from the model's own distribution it estimates the Fisher information,
    with u of the true labels it is the empirical Fisher, which is another thing.

    Args:
      model_fn: `params -> outputs` (B, ...), each row of its own sample only.
      output_grads: u, the gradient of each sample's loss in its row of the outputs; their shape.
      params: where; a pytree of floating arrays.
      v: a pytree as `params`.

    Returns:
      F v, a pytree as `params`; the g_i are not formed.

    Reference: Martens, 2020, https://arxiv.org/abs/1412.1193
    """
    return fisher_operator(model_fn, output_grads, params)(v)


def fisher_operator(
    model_fn: Callable[[Params], jax.Array], output_grads: jax.Array, params: Params
) -> Product:
    """`v -> F v` of a Fisher matrix, linearized once: see `fisher_vp`."""
    outputs, push, pull = _linearized(model_fn, params)
    rows = output_grads.reshape(len(outputs), -1)

    def product(v):
        along = (rows * push(v).reshape(rows.shape)).sum(1, keepdims=True)
        return _mean(pull((along * rows).reshape(outputs.shape).astype(outputs.dtype)), len(rows))

    return product


def dense(product: Product, like: Params) -> jax.Array:
    """The matrix of a linear operator: for small ones, and for tests.

    Args:
      product: `v -> A v` on pytrees as `like`.
      like: a pytree of P floating numbers in all.

    Returns:
      A, (P, P), rows and columns in the order of `jax.flatten_util.ravel_pytree`.
    """
    return _each_column(product, like, lambda j, column: column).T


def diagonal(product: Product, like: Params) -> Params:
    """The exact diagonal of a linear operator, by as many products as it has rows.

    Args:
      product: `v -> A v` on pytrees as `like`.
      like: a pytree of floating arrays.

    Returns:
      A pytree as `like`.
    """
    _, unravel = ravel_pytree(like)
    return unravel(_each_column(product, like, lambda j, column: column[j]))


def _linearized(model_fn, params):
    """The outputs, v -> J v and u -> J^T u."""
    outputs, transposed = jax.vjp(model_fn, params)

    def pull(u):
        return transposed(u)[0]

    _, push = jax.vjp(pull, jnp.zeros_like(outputs))
    return outputs, lambda v: push(v)[0], pull


def _each_column(product, like, keep):
    """`keep(j, A e_j)` for every j, stacked; in groups, for the memory of as many products."""
    flat, unravel = ravel_pytree(like)

    def one(j):
        return keep(j, ravel_pytree(product(unravel(jnp.zeros_like(flat).at[j].set(1))))[0])

    return jax.lax.map(one, jnp.arange(flat.size), batch_size=128)


def _mean(tree, rows):
    return jax.tree.map(lambda x: x / rows, tree)
