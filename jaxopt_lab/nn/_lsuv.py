"""Layer-sequential unit variance."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Positive, checked
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.core.types import Params
from jaxopt_lab.nn.initializers import orthogonal


@checked
def lsuv(
    model: nn.Module,
    variables: Params,
    x: jax.Array,
    key: jax.Array,
    *,
    tolerance: Positive = 0.01,
    max_iterations: Count = 10,
) -> Params:
    """Layer-sequential unit variance: every layer's output on one batch has variance 1.

    For deep networks without normalization, whatever their activations; after `model.init`.

        w <- orthonormal
        w <- w / std(layer(w))    until |var(layer(w)) - 1| < tolerance

    for one layer after another, in the order in which they run in training mode. A layer is a
    module that holds a parameter "kernel" of two axes or more; the variance is that of all its
    output's values, before any activation. A layer used twice is set at its first use.

    Args:
      model: any Linen module called as `model(x, train=...)`.
      variables: of `model.init`, with all collections; they may be traced or vmapped, as `key`.
      x: a batch as in training, (B, ...).
      key: for the orthonormal matrices and the dropout of the pass.
      tolerance: > 0, on the variance.
      max_iterations: >= 1, of one layer.

    Returns:
      `variables` with new kernels. A layer that does not get there keeps its orthonormal kernel,
      such as one whose output is constant; so does one with weight standardization, whose output
      does not scale with the kernel.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where `variables` has no collection "params".

    Reference: Mishkin and Matas, 2016, https://arxiv.org/abs/1511.06422
    """
    if "params" not in variables:
        raise InputError(
            'lsuv: variables must have the collection "params", as model.init returns them, got '
            f"{', '.join(map(repr, variables))}; give {{'params': params}} for parameters alone"
        )
    done = {}  # the kernel that was set, by path; a scanned layer is traced more than once

    def set_kernel(next_function, args, kwargs, context):
        layer, path = context.module, context.module.path
        kernel = layer.get_variable("params", "kernel") if layer.scope is not None else None
        # Only the pass through the model has a stream "params": not the measurements of one layer.
        if (
            context.method_name == "__call__"
            and isinstance(kernel, jax.Array)
            and kernel.ndim >= 2
            and done.get(path) is not kernel
            and layer.has_rng("params")
        ):
            kernel = orthogonal()(layer.make_rng("params"), kernel.shape, kernel.dtype)
            if getattr(layer, "weight_standardization", "none") == "none":
                kernel = _scaled(layer, kernel, (args, kwargs), tolerance, max_iterations)
            layer.put_variable("params", "kernel", kernel)
            done[path] = kernel
        return next_function(*args, **kwargs)

    variables, x = jax.tree.map(jnp.asarray, (dict(variables), x))
    rngs = dict(zip(("params", "dropout"), jax.random.split(key), strict=True))
    with nn.intercept_methods(set_kernel):
        _, new = model.apply(variables, x, train=True, rngs=rngs, mutable=True)
    return variables | {"params": new["params"]}


def _scaled(layer, kernel, arguments, tolerance, max_iterations):
    """The kernel with which `layer`, called with `arguments`, gives variance 1."""
    alone, bound = layer.unbind()
    # Without its initializers, because those of two equal layers differ and would compile twice.
    inits = {"kernel_init", "bias_init"} & {f.name for f in dataclasses.fields(alone)}
    alone = alone.clone(**dict.fromkeys(inits, nn.initializers.zeros))
    leaves, structure = jax.tree.flatten(arguments)
    arrays = [leaf if isinstance(leaf, jax.Array) else None for leaf in leaves]
    others = tuple(None if isinstance(leaf, jax.Array) else leaf for leaf in leaves)
    return _search(alone, structure, others, bound, kernel, arrays, tolerance, max_iterations)


# Compiled once for all layers of one shape, rather than the whole model.
@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _search(layer, structure, others, bound, first, arrays, tolerance, max_iterations):
    leaves = [a if a is not None else b for a, b in zip(arrays, others, strict=True)]
    args, kwargs = jax.tree.unflatten(structure, leaves)

    def variance(kernel):
        given = bound | {"params": bound["params"] | {"kernel": kernel}}
        y, _ = layer.apply(given, *args, **kwargs, mutable=True)
        return y.astype(accumulator_dtype(y.dtype)).var()

    def unfinished(state):
        count, _, var = state
        return (count < max_iterations) & (var > 0) & (jnp.abs(var - 1) >= tolerance)

    def divide(state):
        count, kernel, var = state
        kernel = (kernel * lax.rsqrt(var)).astype(kernel.dtype)
        return count + 1, kernel, variance(kernel)

    _, kernel, var = lax.while_loop(unfinished, divide, (0, first, variance(first)))
    return jnp.where(jnp.abs(var - 1) < tolerance, kernel, first)
