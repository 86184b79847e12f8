"""The mean loss over all samples of batches of any sizes, and its Hessian, batch by batch.

Batches of one shape are stacked and go through one compiled loop, (batches, B, ...); those of other
shapes go through one of their own. Only one batch's intermediate values are in memory at a time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.tree import accumulator_dtype, cast_like, stack_trees, widen, zeros_accumulator
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg import Product, hessian_operator

LossFn = Callable[[Params, Any], jax.Array]
"""`(params, batch) -> (B,)`, one value a sample."""


def mean_loss(loss_fn: LossFn, batches: Sequence[Any]) -> Callable[[Params], jax.Array]:
    """The mean loss over all samples of all batches, as a function of the parameters.

        L(theta) = 1/N sum_b sum_i loss_bi(theta),    N samples in all

    Use it as the `objective` of a surface or of a sharpness. It is no mean of the batches' means: a
    last batch of 2 weighs 2 samples. Its gradient recomputes each batch's forward pass, so that one
    batch is in memory at a time.

    Args:
      loss_fn: `(params, batch) -> (B,)`, one value a sample; evaluation mode, no dropout. Samples
        count alike: N is their number, whatever weights loss_fn multiplies by.
      batches: a list or tuple of pytrees whose leaves have a leading axis, of any size each.

    Returns:
      `params -> scalar`, float32 or wider.

    Raises:
      InputError: for no batches, a batch whose leaves differ in length, and, when it is called, for
        values that are not one a sample.
    """
    groups, count = _grouped("mean_loss", batches)

    def mean(params):
        of_batch = jax.checkpoint(lambda batch: _total("mean_loss", loss_fn, params, batch))
        totals = [jax.lax.map(of_batch, group) for group in groups]
        return jnp.concatenate(totals).sum() / count

    return mean


def mean_hessian(loss_fn: LossFn, params: Params, batches: Sequence[Any]) -> Product:
    """The Hessian of `mean_loss` at the parameters, as an operator `v -> H v`.

        H v = 1/N sum_b d/d theta (grad sum_i loss_bi(theta) . v)

    For `top_eigenvalues`, `hessian_spectrum` and `trace`. Give all of them the same batches: the
    eigenvalues of a Hessian that draws anew for every product are nobody's. A single batch is
    linearized once; several are linearized anew in every product, for the memory of one.

    Matrix products are at full precision ("highest"), because a TPU's default of bfloat16 is off by
    more than a small eigenvalue. Sums over batches are in float32 or wider.

    Args:
      loss_fn: `(params, batch) -> (B,)`, one value a sample; evaluation mode, no dropout.
      params: where; a pytree of floating arrays.
      batches: a list or tuple of pytrees whose leaves have a leading axis, of any size each.

    Returns:
      `v -> H v` on pytrees as `params`; about 4 times the cost of the loss over all batches.

    Raises:
      InputError: for no batches, a batch whose leaves differ in length, or values that are not one
        a sample.

    Reference: Pearlmutter, 1994, https://doi.org/10.1162/neco.1994.6.1.147
    """
    groups, count = _grouped("mean_hessian", batches)

    def linearized(batch):
        return hessian_operator(lambda p: _total("mean_hessian", loss_fn, p, batch), params)

    if len(batches) == 1:
        once = full_precision(linearized)(batches[0])

        def total(v):
            return widen(once(v))

    else:

        def total(v):
            def add(sums, batch):
                return optax.tree.add(sums, widen(linearized(batch)(v))), None

            sums = zeros_accumulator(params)
            for group in groups:
                sums, _ = jax.lax.scan(add, sums, group)
            return sums

    @full_precision
    def product(v):
        return cast_like(jax.tree.map(lambda x: x / count, total(v)), params)

    return product


def _total(method: str, loss_fn: LossFn, params: Params, batch: Any) -> jax.Array:
    """The sum of a batch's values."""
    values, size = jnp.asarray(loss_fn(params, batch)), len(jax.tree.leaves(batch)[0])
    if values.shape != (size,):
        raise InputError(
            f"{method}: loss_fn must give one value a sample, ({size},) for this batch, got shape "
            f"{values.shape}; leave the mean over the batch to {method}"
        )
    return values.astype(accumulator_dtype(values.dtype)).sum()


def _grouped(method: str, batches: Sequence[Any]) -> tuple[list[Any], int]:
    """The batches of each shape, stacked, and how many samples there are in all."""
    if not isinstance(batches, list | tuple):
        raise InputError(
            f"{method}: batches must be a list or tuple of batches, got {type(batches).__name__}; "
            "(batch,) is one"
        )
    groups, count = {}, 0
    for i, batch in enumerate(batches):
        leaves, structure = jax.tree.flatten(batch)
        shapes = tuple(jnp.shape(leaf) for leaf in leaves)
        sizes = {shape[:1] for shape in shapes}
        if len(sizes) != 1 or () in sizes:
            raise InputError(
                f"{method}: the leaves of a batch must have one leading axis, its samples, got "
                f"shapes {list(shapes)} in batch {i}; close loss_fn over what is not of a sample"
            )
        dtypes = tuple(jnp.result_type(leaf) for leaf in leaves)
        groups.setdefault((structure, shapes, dtypes), []).append(batch)
        count += shapes[0][0]
    if not count:
        raise InputError(
            f"{method}: batches must hold at least one sample, got {len(batches)} batches of none"
        )
    return [stack_trees(group) for group in groups.values()], count
