"""Norms, dead units and saturation, by layer."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import OpenDecay, checked
from jaxopt_lab.core.tree import is_trained, widen
from jaxopt_lab.diagnostics.activations import Activation, activations
from jaxopt_lab.diagnostics.layers import is_array, l2_and_rms, name_of

_STATIC = {"static": True}

# Where the largest slope is looked for, beside the data; and the two ends, where a function that
# saturates is flat.
_ENDS = (-30.0, 30.0)
_GRID = np.concatenate([_ENDS, np.linspace(-8, 8, 257)])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ActivationHealth:
    """How a batch goes through a network; A activations, in the order of use.

    Attributes:
      layers: path of the layer before each activation, as `gradient_flow` names it.
      names: of the activations, "none" for a layer without one.
      order: paths of all layers with parameters, normalizations too, in the order of their first
        use; for `gradient_flow`.
      units: (A,) int32, how many units each has.
      input_rms: (A,), of the pre-activations z, or of the output of a layer without activation.
      input_spread: (A,), standard deviation of z over samples and positions, units together by
        root mean square. Where it vanishes, the network no longer tells samples apart.
      rms: (A,), of the activations f(z).
      dead: (A,), fraction of the units that are flat for every sample.
      saturated: (A,), fraction of units times samples that are flat. Of a ReLU these are the
        zeros, about a half.
      sides: (A,) int32, at how many ends f is flat: 0 such as leaky ReLU, 1 such as ReLU, 2 such
        as tanh.
    """

    layers: tuple[str, ...] = field(metadata=_STATIC)
    names: tuple[str, ...] = field(metadata=_STATIC)
    order: tuple[str, ...] = field(metadata=_STATIC)
    units: jax.Array
    input_rms: jax.Array
    input_spread: jax.Array
    rms: jax.Array
    dead: jax.Array
    saturated: jax.Array
    sides: jax.Array


@checked
def activation_health(
    apply: Callable[[Any, Any], Any], params: Any, x: Any, *, threshold: OpenDecay = 0.005
) -> ActivationHealth:
    """By layer, the norm of the activations, and the units that are dead or saturated.

    For a network that does not learn: before training, to see what its initialization does, and
    during it. One forward pass, of any framework and any activation.

        flat(z) = |f'(z)| < threshold max |f'|
        dead unit = flat(z) for every sample        saturated = mean of flat(z)

    f' is the derivative of the activation itself, taken by JAX; its largest size is that over
    z in [-8, 8] and the data. At 0.005 a sigmoid is flat for |z| > 6.7, tanh for |z| > 3.3, a ReLU
    for z <= 0, and a leaky ReLU of slope 0.01 nowhere. The units of a convolution are its channels,
    which are dead where they are at all positions.

    What is seen: elementwise functions of one value, by name or spelled out, after a matrix product
    or convolution with parameters, whatever bias or normalization stands between. What is not:
    layers inside `scan`, `while` and `cond`; an activation right after a mean over axes; those that
    have a parameter for each unit, or that are powers, exp or abs alone. `Maxout` and `MaxPlus`
    select between values instead of bending one: they are layers without an activation here, and a
    piece that no sample selects is not told.

    Args:
      apply: `apply(params, x) -> outputs`, such as
        `lambda p, x: model.apply({"params": p}, x, train=False)`. Compiled once for each
        function object; arrays that it closes over are constants then.
      params: a pytree; leaves that are no arrays are given to `apply` as they are.
      x: a batch as `apply` takes it, a pytree of arrays.
      threshold: in (0, 1), relative to the largest slope.

    Returns:
      An `ActivationHealth`, float32 or wider.

    Raises:
      ArgumentError: for a threshold out of its range.
      InputError: where `x` has no samples, or no layer is seen.

    Reference: saturation: Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html;
    dead ReLUs: Lu et al., 2019, https://arxiv.org/abs/1903.06733
    """
    if not jax.tree.leaves(x) or any(np.size(leaf) == 0 for leaf in jax.tree.leaves(x)):
        raise InputError("activation_health: x must hold at least one sample, got none")
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    dynamic = tuple(is_array(leaf) for _, leaf in paths)
    arrays = [leaf for _, leaf in paths if is_array(leaf)]
    names = tuple(name_of(path) for path, leaf in paths if is_array(leaf))
    others = tuple(None if is_array(leaf) else leaf for _, leaf in paths)
    try:
        hash(apply)
    except TypeError:
        apply = functools.partial(apply)  # has the hash of an object
    return _measured(
        apply, structure, dynamic, others, names, arrays, x, jnp.asarray(_GRID, float), threshold
    )


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _measured(apply, structure, dynamic, others, names, arrays, x, grid, threshold):
    # The grid is an argument, because XLA would work for seconds on what is a constant.
    def model(arrays, x):
        rest = iter(arrays)
        leaves = [next(rest) if d else o for d, o in zip(dynamic, others, strict=True)]
        return [y for y in jax.tree.leaves(apply(structure.unflatten(leaves), x)) if is_array(y)]

    found, order = activations(model, arrays, names, x)
    if not found:
        raise InputError(
            "activation_health: apply(params, x) has no layer that can be seen, a matrix product "
            "or convolution of data with parameters outside of loops: unroll what is scanned"
        )
    before = [a.before for a in found]
    others = [tuple(i for i in range(a.before.ndim) if i not in a.units) for a in found]
    deviations = [_deviation(z, axes) for z, axes in zip(before, others, strict=True)]
    sizes = [[z] for z in (*before, *deviations, *(a.after for a in found))]
    input_rms, input_spread, rms = jnp.split(l2_and_rms(sizes)[1], 3)
    rows = [_flat(a, axes, grid, threshold) for a, axes in zip(found, others, strict=True)]
    dead, saturated, sides = (jnp.stack(column) for column in zip(*rows, strict=True))
    units = [math.prod(a.before.shape[i] for i in a.units) for a in found]
    return ActivationHealth(
        tuple(a.layer for a in found),
        tuple(a.name for a in found),
        order,
        jnp.asarray(units, jnp.int32),
        input_rms,
        input_spread,
        rms,
        dead.astype(rms.dtype),
        saturated.astype(rms.dtype),
        sides,
    )


def _deviation(z, axes):
    """z less the mean of each unit."""
    z = widen(z)
    return z - z.mean(axes, keepdims=True) if z.size else z


def _flat(a: Activation, axes, grid, threshold):
    """dead, saturated and sides."""
    z = a.before
    if a.slope is None or z.size == 0 or not is_trained(z):
        return jnp.zeros([]), jnp.zeros([]), jnp.int32(0)
    copies = -(-len(_GRID) // z.size)
    grid = jnp.resize(grid, (copies, *z.shape)).astype(z.dtype)
    on_grid, slope = jnp.abs(jax.vmap(a.slope)(grid)), jnp.abs(a.slope(z))
    both = (jnp.max(s, initial=0, where=jnp.isfinite(s)) for s in (on_grid, slope))
    least = threshold * jnp.maximum(*both)
    flat = slope < least
    sides = (on_grid.reshape(-1)[: len(_ENDS)] < least).sum().astype(jnp.int32)
    return flat.all(axes).mean(), flat.mean(), sides
