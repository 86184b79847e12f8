"""Models that would normalize one value by itself."""

import contextlib
import math
from typing import Any

import flax.linen as nn
import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.nn.normalizations import BatchNorm, GroupNorm, InstanceNorm, LayerNorm


def refuse_lone_values() -> contextlib.AbstractContextManager[Any]:
    """While it is entered, a Linen model must not normalize one value by its own mean.

    For the training pass of a model: what is left of such a value is the layer's bias, so that
    nothing before it is trained, and nothing says so.

    Returns:
      A context manager; in it a normalization of this package or of Flax raises while it is called
      or traced. Layers that take running statistics are let pass, and so are NNX modules, which
      nothing can look into.

    Raises:
      InputError: in the context, naming the layer, its input and what to do.

    Reference: PyTorch's batch normalization, which refuses one value a channel in training.
    """

    def look(call, args, kwargs, context):
        module = context.module
        if context.method_name == "__call__" and args and isinstance(args[0], jax.Array):
            given = kwargs | dict(zip(("use_running_average",), args[1:2], strict=False))
            if _values_of_a_mean(module, args[0], given) == 1:
                raise InputError(_fault(module, args[0].shape))
        return call(*args, **kwargs)

    return nn.intercept_methods(look)


def _fault(module: nn.Module, shape: tuple[int, ...]) -> str:
    place = "/".join((*module.path[:-1], type(module).__name__))
    over_batch = isinstance(module, BatchNorm | nn.BatchNorm)
    more = "a larger data.batch_size, larger maps" if over_batch else "larger maps, more features"
    return (
        f"model: {place} of x {shape} normalizes each value by itself, which leaves nothing of it "
        f"to learn from: take {more}, or another norm"
    )


def _values_of_a_mean(module: nn.Module, x: jax.Array, given: dict[str, Any]) -> int | None:
    """How many values a layer averages for one statistic; None for layers that do not."""
    per_sample, channels = math.prod(x.shape[1:]), x.shape[-1]
    match module:
        case BatchNorm():
            return x.size // channels if given.get("train") else None
        case InstanceNorm():
            return per_sample // channels
        case LayerNorm():
            return per_sample
        case GroupNorm():
            return per_sample // module._count(x.shape)
        case nn.BatchNorm():
            running = module.use_running_average or given.get("use_running_average")
            return None if running or module.axis_name else x.size // _size(x, module.axis)
        case nn.InstanceNorm():
            return per_sample // _size(x, module.feature_axes)
        case nn.LayerNorm() | nn.RMSNorm():
            return _size(x, module.reduction_axes)
        case nn.GroupNorm():
            groups = module.num_groups or channels // (module.group_size or 1)
            return per_sample // groups
    return None


def _size(x: jax.Array, axes: Any) -> int:
    return math.prod(x.shape[axis] for axis in ([axes] if isinstance(axes, int) else axes))
