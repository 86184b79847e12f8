"""A convolution whose gradients are fast on every platform, in a loop too.

What is chosen by the platform stands in the program, not in the process that traces it: a program
that is lowered for a TPU on a machine without one is the TPU's.
"""

import functools
import math
from typing import Any

import jax
from jax import lax

from jaxopt_lab.nn.convolution import Window, convolve, gradients, plain, window_of


def convolution_by_platform(lhs: jax.Array, rhs: jax.Array, *args: Any, **kwargs: Any) -> jax.Array:
    """`canonical_convolution` in a program for a CPU, XLA's own convolution elsewhere.

    It has no forward mode on any platform, so that what works on one works on the others.

    Args:
      lhs, rhs, ...: as of `canonical_convolution`.

    Returns:
      The convolution.

    Raises:
      ValueError: as `canonical_convolution`.
    """
    return _convolve(lhs, rhs, window_of(lhs, rhs, *args, **kwargs))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(lhs: jax.Array, rhs: jax.Array, window: Window) -> jax.Array:
    pixels, taps = math.prod(lhs.shape[1:-1]), math.prod(rhs.shape[:-2])
    if window.groups == 1 and taps <= pixels:
        return plain(lhs, rhs, window)  # the canonical one too
    return lax.platform_dependent(
        lhs,
        rhs,
        cpu=lambda lhs, rhs: convolve(lhs, rhs, window),
        default=lambda lhs, rhs: plain(lhs, rhs, window),
    )


def _forward(lhs, rhs, window):
    return _convolve(lhs, rhs, window), (lhs, rhs)


def _backward(window, residuals, g):
    def xla(residuals, g):
        return jax.vjp(lambda lhs, rhs: plain(lhs, rhs, window), *residuals)[1](g)

    canonical = functools.partial(gradients, window)
    return lax.platform_dependent(residuals, g, cpu=canonical, default=xla)


_convolve.defvjp(_forward, _backward)
