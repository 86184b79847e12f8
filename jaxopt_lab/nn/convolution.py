"""A convolution whose gradients are fast inside a compiled loop on CPU.

XLA's CPU backend has one fast convolution, with the labels NHWC, HWIO -> NHWC. It rewrites others
into these labels, but not inside `lax.scan`, `while_loop` and `fori_loop`, and the convolutions of
JAX's own gradients have others. Here the gradients are written in these labels to begin with.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

_MERGED_DEPTH = 288  # the longest sum that merged groups make: 3 x 3 pixels of 32 channels


class Window(NamedTuple):
    """Everything of a convolution but its operands: static, hashable."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    groups: int
    precision: Any
    preferred_element_type: Any


def canonical_convolution(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> jax.Array:
    """`jax.lax.conv_general_dilated` with a backward pass that is fast in a loop on CPU.

    Use it on CPU where a training step is compiled into a loop. With x (B, *S, C), w (*K, C, O)
    and the cotangent g (B, *T, O), both gradients are themselves convolutions in these labels:

        dx = conv(g, flip(w)^(I <-> O)),  stride -> lhs_dilation, lhs_dilation -> stride
        dw = conv(x as (C, *S, B), g as (*T, B, O)) as (*K, C, O),  stride <-> rhs_dilation

    and with G groups dw keeps a group axis: x as (C/G, *S, G B). The backward rule calls the same
    function, so reverse over reverse of any order is right. It has no forward mode (`jax.jvp`,
    `jax.linearize`, `jax.hessian` raise): take J v by a double vjp, or use XLA's own.

    Args:
      lhs: (B, *spatial, C), floating, with 1, 2 or 3 spatial axes.
      rhs: (*kernel, C / feature_group_count, O), the same dtype.
      window_strides: a positive integer per spatial axis.
      padding: "SAME", "SAME_LOWER", "VALID" or a (low, high) pair of pixels per spatial axis.
      lhs_dilation: per spatial axis, as in a transposed convolution; needs explicit padding.
      rhs_dilation: per spatial axis, as in an atrous convolution.
      dimension_numbers: NHWC, HWIO, NHWC or the analogue in 1-D or 3-D, in any of lax's forms.
      feature_group_count: divides C and O; C of them is a depthwise convolution.
      precision: as in lax, used in the gradients too.
      preferred_element_type: the dtype of the result, as in lax.

    Returns:
      (B, *spatial', O) in the dtype of `lhs`, or in `preferred_element_type`.

    Raises:
      ValueError: for any other dimension numbers, and for named padding with `lhs_dilation`.

    Differs from:
      `jax.lax.conv_general_dilated`: without groups and with an image no smaller than the kernel
      the value and the gradients are those of XLA; otherwise they agree up to rounding, and there
      a NaN or infinity in one channel may reach the other groups of its block.

    Measured on 2 CPU cores (`scripts/benchmarks/convolution_in_loop.py`; float32, 32 images of
    16x16, 32 channels), milliseconds of both gradients: XLA's own outside a loop, XLA's own in a
    scan, this in a scan.

        3x3               5.2  113   5.0      input dilation 2      49  300   9.3
        3x3, stride 2     2.0   20   2.4      4 groups              87   39   4.6
        1x1               2.0   12   2.0      16 groups, 64 ch.    570  109    11
        kernel dilation 2 4.6  107   5.0      depthwise             15   89   5.1

    Second derivatives in a scan take a third of the time of XLA's own outside a loop (3x3: 15 ms
    against 43 ms, and 281 ms in a scan). They were slow because XLA exchanges image and kernel
    where the kernel is the larger, by a reversed window that its fast convolution cannot do; so
    here they are exchanged before XLA would. Groups run one after another in small blocks: XLA's
    grouped convolution takes 2 to 10 times as long. Under a `vmap` over kernels JAX makes it one
    grouped convolution again: 8 kernels take 239 ms so (XLA's own 240, in a scan 2,440) and 35 ms
    by `lax.map`, which however would gather members that lie on several devices.
    """
    return convolve(
        lhs,
        rhs,
        window_of(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            dimension_numbers,
            feature_group_count,
            precision,
            preferred_element_type,
        ),
    )


def window_of(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Window:
    """The arguments of `jax.lax.conv_general_dilated`, checked, as one.

    Raises:
      ValueError: as `canonical_convolution`.
    """
    spatial = lhs.ndim - 2
    given = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    if given != lax.conv_dimension_numbers(lhs.shape, rhs.shape, _labels(spatial)):
        raise ValueError(
            f"canonical_convolution: dimension_numbers must be {_labels(spatial)}, "
            f"got {dimension_numbers!r}"
        )
    ones = (1,) * spatial
    lhs_dilation = ones if lhs_dilation is None else tuple(lhs_dilation)
    rhs_dilation = ones if rhs_dilation is None else tuple(rhs_dilation)
    if isinstance(padding, str):
        if lhs_dilation != ones:
            raise ValueError(
                "canonical_convolution: with lhs_dilation, padding must be (low, high) pairs, "
                f"got {padding!r}"
            )
        extent = [_dilated(k, d) for k, d in zip(rhs.shape, rhs_dilation, strict=False)]
        padding = lax.padtype_to_pads(lhs.shape[1:-1], extent, window_strides, padding)
    return Window(
        tuple(window_strides),
        tuple((int(low), int(high)) for low, high in padding),
        lhs_dilation,
        rhs_dilation,
        feature_group_count,
        precision,
        preferred_element_type,
    )


def convolve(lhs: jax.Array, rhs: jax.Array, window: Window) -> jax.Array:
    """`canonical_convolution` of a window."""
    return _convolve(lhs, rhs, window)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(lhs: jax.Array, rhs: jax.Array, window: Window) -> jax.Array:
    pixels, taps = math.prod(lhs.shape[1:-1]), math.prod(rhs.shape[:-2])
    if taps > pixels:
        # XLA would exchange image and kernel to save work, but by a reversed window, which its
        # fast convolution cannot do. (The gradient of a kernel gradient is such a case.)
        return _exchanged(lhs, rhs, window)
    return _blocked(lhs, rhs, window)


def _forward(lhs, rhs, window):
    return _convolve(lhs, rhs, window), (lhs, rhs)


def gradients(
    window: Window, residuals: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The cotangents of image and kernel, `residuals`, of a cotangent g."""
    lhs, rhs = residuals
    if g.size == 0:  # its convolutions would have an empty kernel
        return jnp.zeros_like(lhs), jnp.zeros_like(rhs)
    # The cotangent has `preferred_element_type`, as in JAX's own rule.
    dx = _image_gradient(g, rhs.astype(g.dtype), lhs.shape, window)
    dw = _kernel_gradient(lhs.astype(g.dtype), g, rhs.shape, window)
    return dx.astype(lhs.dtype), dw.astype(rhs.dtype)


_convolve.defvjp(_forward, gradients)


def _image_gradient(g, rhs, image_shape, window) -> jax.Array:
    spatial = range(rhs.ndim - 2)
    padding = []
    for i in spatial:
        low, _ = window.padding[i]
        image = _dilated(image_shape[i + 1], window.lhs_dilation[i])
        kernel = _dilated(rhs.shape[i], window.rhs_dilation[i])
        out = _dilated(g.shape[i + 1], window.strides[i])
        padding.append((kernel - 1 - low, image + low - out))
    *taps, inputs, outputs = rhs.shape
    groups = window.groups
    # I <-> O within each group: (*K, I, G O) -> (*K, O, G I)
    kernel = jnp.flip(rhs, spatial).reshape(*taps, inputs, groups, outputs // groups)
    kernel = kernel.swapaxes(-3, -1).reshape(*taps, outputs // groups, groups * inputs)
    return convolve(
        g,
        kernel,
        window._replace(
            strides=window.lhs_dilation, padding=tuple(padding), lhs_dilation=window.strides
        ),
    )


def _kernel_gradient(lhs, g, kernel_shape, window) -> jax.Array:
    padding = []
    for i in range(lhs.ndim - 2):
        low, _ = window.padding[i]
        image = _dilated(lhs.shape[i + 1], window.lhs_dilation[i])
        kernel = _dilated(kernel_shape[i], window.rhs_dilation[i])
        out = _dilated(g.shape[i + 1], window.strides[i])
        padding.append((low, out - image + kernel - 1 - low))
    product = convolve(
        _channels_first(lhs, window.groups),
        jnp.moveaxis(g, 0, -2),
        window._replace(
            strides=window.rhs_dilation, padding=tuple(padding), rhs_dilation=window.strides
        ),
    )
    return jnp.moveaxis(product, 0, -2)


def _exchanged(lhs, rhs, window):
    """The same convolution with image and kernel exchanged: its result comes out reversed."""
    padding, spatial = [], range(lhs.ndim - 2)
    for i in spatial:
        (low, high), stride = window.padding[i], window.strides[i]
        image = _dilated(lhs.shape[i + 1], window.lhs_dilation[i])
        kernel = _dilated(rhs.shape[i], window.rhs_dilation[i])
        last = (image + low + high - kernel) // stride * stride
        if last < 0:
            return _blocked(lhs, rhs, window)  # an empty result
        padding.append((last - low, image - kernel + low))
    *taps, inputs, outputs = rhs.shape
    groups = window.groups
    # (*K, I, G O) -> (O, *K, G I), and the image as (*S, I, G B)
    image = rhs.reshape(*taps, inputs, groups, outputs // groups)
    image = jnp.moveaxis(image, -1, 0).swapaxes(-1, -2)
    image = image.reshape(outputs // groups, *taps, groups * inputs)
    kernel = jnp.moveaxis(_channels_first(lhs, groups), 0, -2)
    product = _blocked(
        image,
        kernel,
        window._replace(
            padding=tuple(padding),
            lhs_dilation=window.rhs_dilation,
            rhs_dilation=window.lhs_dilation,
        ),
    )
    # (O, *T, G B) -> (B, *T, G O)
    product = jnp.flip(product, [i + 1 for i in spatial])
    product = product.reshape(*product.shape[:-1], groups, lhs.shape[0])
    product = jnp.moveaxis(product, (-1, 0), (0, -1))
    return product.reshape(*product.shape[:-2], outputs)


def _blocked(lhs, rhs, window):
    """Groups in blocks: XLA's grouped convolution is slow on CPU, several small ones are not.

    Within a block the kernel is dense with zeros between groups, which costs less than it saves as
    long as a group alone is too thin for a matrix product.
    """
    groups = window.groups
    if groups == 1 or lhs.shape[-1] % groups or rhs.shape[-1] % groups:
        return plain(lhs, rhs, window)  # where lax says what is wrong
    *taps, inputs, outputs = rhs.shape
    outputs //= groups
    depth = math.prod(taps) * inputs
    limit = max(depth, _MERGED_DEPTH)
    merged = max(m for m in range(1, min(groups, limit // depth) + 1) if groups % m == 0)
    blocks = groups // merged
    image = lhs.reshape(*lhs.shape[:-1], blocks, merged * inputs)
    kernel = rhs.reshape(*taps, 1, inputs, blocks, merged, outputs)
    same_group = jnp.eye(merged, dtype=bool).reshape(merged, 1, 1, merged, 1)
    kernel = jnp.where(same_group, kernel, jnp.zeros((), rhs.dtype))
    kernel = kernel.reshape(*taps, merged * inputs, blocks, merged * outputs)
    window = window._replace(groups=1)
    if blocks == 1:
        return plain(image.squeeze(-2), kernel.squeeze(-2), window)
    result = lax.map(
        lambda block: plain(block[0], block[1], window),
        (jnp.moveaxis(image, -2, 0), jnp.moveaxis(kernel, -2, 0)),
    )
    result = jnp.moveaxis(result, 0, -2)
    return result.reshape(*result.shape[:-2], groups * outputs)


def plain(lhs: jax.Array, rhs: jax.Array, window: Window) -> jax.Array:
    """The convolution as XLA has it."""
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window.strides,
        window.padding,
        window.lhs_dilation,
        window.rhs_dilation,
        _labels(lhs.ndim - 2),
        window.groups,
        precision=window.precision,
        preferred_element_type=window.preferred_element_type,
    )


def _channels_first(image, groups):
    """(B, *S, G I) -> (I, *S, G B)."""
    image = image.reshape(*image.shape[:-1], groups, -1)
    image = jnp.moveaxis(image, (-1, 0), (0, -1))
    return image.reshape(*image.shape[:-2], -1)


def _labels(spatial: int) -> tuple[str, str, str]:
    axes = "0123456789"[:spatial]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def _dilated(size: int, dilation: int) -> int:
    return 0 if size == 0 else 1 + (size - 1) * dilation
