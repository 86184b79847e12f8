"""The Dense and Conv layers inside a model: their inputs, and the slopes at their outputs.

Layout. A batch has B samples. A layer has I weights a unit and O units, and its output has the axes
T between them: a convolution's pixels, the further axes of a Dense layer, or none:

    input    (B, *S, C)    of a Dense layer (B, *T, I)
    patches  (B, *T, I)    what a unit sees at each position
    output   (B, *T, O)
    rows     (B T, I)      patches, a row for each sample and position

1. `find_layers` traces the model without computing, and lists the layers by their kernels' names.
2. `forward` runs the model with a perturbation (B, *T, O) added to each layer's output, and brings
   out each layer's input. At a perturbation of zero the gradient by it is the gradient by the
   output.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core.tracers import current_trace
from jax import lax

from jaxopt_lab.core.tree import flatten_with_names, widen


@dataclass(frozen=True)
class Window:
    """How a convolution's kernel moves: per spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def patches(self, x: jax.Array) -> jax.Array:
        """(B, *S, C) -> (B, *T, I), I = window times C: what each position of the output sees.

        By slices: XLA's own patches are a grouped convolution, which is slow on CPU.
        """
        x = jnp.pad(x, ((0, 0), *self.padding, (0, 0)))
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        last = [size - r for size, r in zip(x.shape[1:-1], reach, strict=True)]
        taps = []
        for index in range(math.prod(self.kernel)):
            offsets, rest = [], index
            for size, dilation in zip(self.kernel[::-1], self.dilation[::-1], strict=True):
                offsets.insert(0, rest % size * dilation)
                rest //= size
            start = (0, *offsets, 0)
            limit = (len(x), *(o + m + 1 for o, m in zip(offsets, last, strict=True)), x.shape[-1])
            taps.append(lax.slice(x, start, limit, (1, *self.strides, 1)))  # (B, *T, C)
        return jnp.concatenate(taps, -1)


@dataclass(frozen=True)
class Layer:
    """One Dense or Conv layer of a model.

    Attributes:
      path: of the module.
      kernel: shape of its kernel.
      bias: the name of its bias among the parameters, or None.
      output: shape and dtype of what it gives.
      window: of a convolution.
    """

    path: tuple[str, ...]
    kernel: tuple[int, ...]
    bias: str | None
    output: jax.ShapeDtypeStruct
    window: Window | None

    @property
    def size(self) -> int:
        """The longer side of the kernel as a matrix."""
        return max(math.prod(self.kernel[:-1]), self.kernel[-1])

    @property
    def positions(self) -> int:
        """B T: outputs of a unit in a batch."""
        return math.prod(self.output.shape[:-1])

    def rows(self, x: jax.Array) -> jax.Array:
        """(B, *S, C) -> (B T, I): what a unit sees, in the order of the kernel's elements."""
        patches = x if self.window is None else self.window.patches(x)  # (B, *T, I)
        return patches.reshape(-1, patches.shape[-1])


def find_layers(curvature: Any) -> dict[str, Layer]:
    """The layers whose factors are defined, by the names of their kernels; computes nothing."""
    leaves = flatten_with_names(curvature.params)
    calls_of: dict[tuple[str, ...], list[tuple[str, Layer] | None]] = {}

    def look(module, x, call):
        y = call()
        calls_of.setdefault(module.path, []).append(_layer(module, x, y, leaves))
        return y

    def shapes(params, batch):
        return _intercepted(lambda: curvature.model_fn(params, batch), look)

    outputs = jax.eval_shape(shapes, curvature.params, curvature.batch)
    once = [calls[0] for calls in calls_of.values() if len(calls) == 1]
    samples = outputs.shape[0]
    return dict(entry for entry in once if entry and entry[1].positions % samples == 0)


def forward(
    curvature: Any,
    layers: Mapping[str, Layer],
    perturbations: dict[str, jax.Array],
    changed: dict[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Outputs of the model (B, ...), and the input (B, *S, C) of every layer.

    Args:
      curvature: a `Curvature`.
      layers: of `find_layers`.
      perturbations: by layer (B, *T, O), added to its output.
      changed: parameters, by name, that replace those of the same name.
    """
    names = {layer.path: name for name, layer in layers.items()}
    inputs = {}

    def add(module, x, call):
        name = names.get(module.path)
        y = call()
        if name is None:
            return y
        inputs[name] = x
        return y + perturbations[name]

    given, structure = jax.tree.flatten(widen(curvature.params))
    pairs = zip(flatten_with_names(curvature.params), given, strict=True)
    params = structure.unflatten([changed.get(name, leaf) for name, leaf in pairs])
    # As JAX has them: a NumPy batch may be wider than JAX's floats.
    batch = jax.tree.map(jnp.asarray, curvature.batch)
    return _intercepted(lambda: curvature.model_fn(params, batch), add), inputs


def _intercepted(
    function: Callable[[], Any], around: Callable[[nn.Module, Any, Callable], Any]
) -> Any:
    """`function()`, with `around(module, input, call)` in place of each call of Dense or Conv."""
    trace = current_trace()

    def intercept(call, args, kwargs, context):
        module = context.module
        ours = isinstance(module, nn.Dense | nn.Conv) and context.method_name == "__call__"
        # Inside another transformation, of Flax or of JAX, its inputs could not be brought out.
        if not ours or current_trace() != trace:
            return call(*args, **kwargs)
        x = args[0] if args else next(iter(kwargs.values()))
        return around(module, x, lambda: call(*args, **kwargs))

    with nn.intercept_methods(intercept):
        return function()


def _layer(module, x, y, leaves) -> tuple[str, Layer] | None:
    """The layer and the name of its kernel, or None where its factors are not defined."""
    prefixes = ("/".join((*start, *module.path, "")) for start in ((), ("params",)))
    prefix = next((p for p in prefixes if f"{p}kernel" in leaves), None)
    if prefix is None or getattr(module, "weight_standardization", "none") != "none":
        return None
    held = module.get_variable("params", "kernel")
    kernel = leaves[f"{prefix}kernel"].shape
    window = _window(module, x) if isinstance(module, nn.Conv) else None
    plain = isinstance(module, nn.Dense) or window is not None
    if not plain or held is None or held.shape != kernel:
        return None
    bias = f"{prefix}bias" if module.use_bias else None
    output = jax.ShapeDtypeStruct(y.shape, y.dtype)
    return f"{prefix}kernel", Layer(module.path, kernel, bias, output, window)


def _window(module, x) -> Window | None:
    """Of a convolution without groups, mask or input dilation, padded with zeros."""
    size = module.kernel_size
    kernel = (size,) if isinstance(size, int) else tuple(size)

    def per_axis(value):
        value = 1 if value is None else value
        return (value,) * len(kernel) if isinstance(value, int) else tuple(value)

    strides, dilation = per_axis(module.strides), per_axis(module.kernel_dilation)
    padding = module.padding
    if isinstance(padding, int):
        padding = [(padding, padding)] * len(kernel)
    elif isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            return None
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        padding = lax.padtype_to_pads(x.shape[1:-1], reach, strides, padding)
    else:
        padding = [(p, p) if isinstance(p, int) else tuple(p) for p in padding]
    plain = (
        module.feature_group_count == 1
        and module.mask is None
        and set(per_axis(module.input_dilation)) == {1}
        and x.ndim == len(kernel) + 2
        and min(map(min, padding)) >= 0
    )
    return Window(kernel, strides, dilation, tuple(padding)) if plain else None
