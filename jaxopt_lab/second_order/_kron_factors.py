"""Kronecker factors of the Fisher, layer by layer.

Layout as in `capture.py`: B samples, T positions, I weights a unit, O units, K outputs a sample.

1. Forward: the input of every layer, as rows a (B T, I), with a last column of ones for a bias.
2. Backward from labels, or from each of the K columns of the root of the loss Hessian: the slopes
   g (B, *T, O) at every layer's output, as rows (B T, O).
3. A = a^T a / B (I, I) and G = g^T g / (B T) (O, O).
4. Of other leaves the diagonal, from one gradient of the losses with random signs.
"""

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.tree import accumulator_dtype, flatten_with_names, widen
from jaxopt_lab.second_order.capture import Layer, find_layers, forward
from jaxopt_lab.second_order.root_columns import root_columns

Kind = Literal["mc", "ggn", "empirical"]


class KronFactors(NamedTuple):
    """Of each layer A and G, by the name of its kernel; of each other leaf the diagonal."""

    layers: dict[str, tuple[jax.Array, jax.Array]]
    diagonal: dict[str, jax.Array]


@checked
def kron_factors(
    curvature: Any,
    *,
    kind: Kind = "mc",
    only: Collection[str] | None = None,
    max_size: Count = 8192,
) -> KronFactors:
    """Kronecker factors of the blocks of the Fisher of Dense and Conv layers.

    What K-FAC inverts. One forward pass and one backward pass ("ggn": one for each output).

        F_layer ~ A (x) G,   A = E[sum_t a_t a_t^T],   G = E[mean_t g_t g_t^T]

    over the samples and, in a convolution or a Dense layer on more axes, the T positions t, where
    a_t is the layer's input there (of a convolution its patch, in the order of the kernel's axes),
    with a last 1 where the layer has a bias, and g_t the gradient of the sample's loss by the
    layer's output before any activation. For T = 1 and g independent of a, as in a linear network
    with squared error, the block is exact.

    A layer is a `flax.linen.Dense` or `Conv`, or a subclass such as `nn.Dense` and `nn.Conv`, that
    is called once and whose "kernel" stands in the parameters at the module's own path. Not one
    with groups, a mask, input dilation or padding other than zeros, with weight standardization, or
    inside another transformation of Flax (`nn.scan`, `nn.remat`, `nn.vmap`). The parameters of
    these, of normalizations and of anything else have the diagonal

        d = (sum_b s_b g_b)^2 / B,     s_b = +1 or -1 at random for each sample,

    whose mean over the signs is that of the per-example squares, E[g^2]. It needs no per-example
    gradient, so that batch normalization is no obstacle; one draw is a rough estimate.

    Args:
      curvature: a `Curvature`.
      kind: of labels: "mc" drawn from the model, the Fisher; "empirical" those of the batch, the
        empirical Fisher; "ggn" none but the exact loss Hessian at the outputs, the generalized
        Gauss-Newton matrix, at the cost of as many backward passes as there are outputs.
      only: names of the leaves that are asked for, such as "params/Dense_0/kernel"; None for all.
      max_size: a layer with more inputs (weights of a unit) or outputs than this has a diagonal.

    Returns:
      `KronFactors(layers, diagonal)`, float32 or wider: `layers[name of the kernel] = (A, G)`, A
      (I, I) or with a bias (I + 1, I + 1), G (O, O), for a kernel (..., O) of I O elements;
      `diagonal[name]` in the leaf's shape.

    Raises:
      ArgumentError: for an unknown `kind`.

    Reference: Martens and Grosse, 2015, https://arxiv.org/abs/1503.05671; convolutions: Grosse and
    Martens, 2016, https://arxiv.org/abs/1602.01407
    """
    leaves = flatten_with_names(widen(curvature.params))
    asked = [name for name in leaves if only is None or name in only]
    layers = {
        name: layer
        for name, layer in find_layers(curvature).items()
        if name in asked and layer.size <= max_size
    }
    held = {n for name, layer in layers.items() for n in (name, layer.bias) if n}
    rest = {name: leaves[name] for name in asked if name not in held}
    zeros = {
        name: jnp.zeros(layer.output.shape, layer.output.dtype) for name, layer in layers.items()
    }
    outputs, backward, inputs = jax.vjp(
        lambda zeros, rest: forward(curvature, layers, zeros, rest), zeros, rest, has_aux=True
    )
    batch, key = outputs.shape[0], jax.random.fold_in(curvature.key, 1)
    if kind == "ggn":
        columns = root_columns(curvature.output_loss, outputs, curvature.batch["y"])  # (K, B, ...)
        slopes = jax.vmap(lambda column: backward(column)[0])(columns)  # (K, B, *T, O) a layer
        signs = jax.random.rademacher(key, columns.shape[:2], outputs.dtype)
        sums = backward(jnp.einsum("kb,kb...->b...", signs, columns))[1]
    else:
        labels = curvature.batch["y"]
        if kind == "mc":
            labels = curvature.sample_label(curvature.key, outputs)
        losses, of_outputs = jax.vjp(lambda z: curvature.output_loss(z, labels), outputs)
        (cotangent,) = of_outputs(jax.random.rademacher(key, (batch,), losses.dtype))
        slopes, sums = backward(cotangent)  # (B, *T, O) a layer; a leaf's shape
    factors = {
        name: (_inputs_factor(layer, inputs[name], batch), _outputs_factor(layer, slopes[name]))
        for name, layer in layers.items()
    }
    return KronFactors(factors, {name: widen(g) ** 2 / batch for name, g in sums.items()})


@full_precision  # the factors are inverted
def _square(rows):
    """X^T X."""
    return rows.T @ rows


def _inputs_factor(layer: Layer, x, batch):
    """A from the layer's input (B, *S, C)."""
    rows = layer.rows(x)  # (B T, I), of whole numbers too
    rows = rows.astype(accumulator_dtype(rows.dtype))
    if layer.bias:
        rows = jnp.concatenate([rows, jnp.ones((len(rows), 1), rows.dtype)], 1)  # (B T, I + 1)
    return _square(rows) / batch


def _outputs_factor(layer: Layer, slopes):
    """G from the slopes (B, *T, O), or (K, B, *T, O), whose squares add up."""
    rows = widen(slopes).reshape(-1, slopes.shape[-1])  # (B T, O), or (K B T, O)
    return _square(rows) / layer.positions
