"""Which operations XLA's CPU backend hands to YNNPACK, by the program and never by the clock.

With YNNPACK's fusions elementwise work, reductions and products beside large convolutions take less
time, and small programs and optimizers of large products take more. Both programs compute the same
but for rounding, so that a run keeps to one of them: its checkpoints say which.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr

from jaxopt_lab.engine.convolutions import equations

DEFAULT, YNN = "default", "ynn"

_OPTIONS = {
    DEFAULT: {},
    YNN: {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,"
        "LIBRARY_FUSION_TYPE_ELTWISE,LIBRARY_FUSION_TYPE_REDUCE"
    },
}

# Steps measured in turn on 2 busy cores, in CPU time. By the operations of a mean convolution: 6e8
# gain 1.5 times (ResNet-20, batch 128), 3e8 1.23, 1.5e8 1.08, 1e7 0.97 and 5e6 0.7.
_LEAST_OPERATIONS = 1e8

# By those of all of them for each element that is written elsewhere: 50 and more in the networks
# above; with 2, a small convolution and Adam of large products, it is 0.8.
_LEAST_BY_ELEMENT = 15


def fusions_for(program: ClosedJaxpr, platform: str, *, devices: int = 1) -> str:
    """The fusions with which a program is faster.

    Args:
      program: of a training step, gradient and update included.
      platform: of the devices, "cpu" for one.
      devices: that share the batch.

    Returns:
      `YNN` on a CPU where convolutions are large, each for itself and beside all else, and where
      this jaxlib has them; else `DEFAULT`.
    """
    convolutions, products, elements = [], 0, 0
    for eqn in equations(program):
        if eqn.primitive is lax.conv_general_dilated_p:
            if eqn.outvars[0].aval.dtype != jnp.float32:
                return DEFAULT  # a ResNet-20 in bfloat16 comes to 0.93
            convolutions.append(_operations_of_convolution(eqn))
        else:
            elements += sum(math.prod(getattr(v.aval, "shape", ())) for v in eqn.outvars)
        if eqn.primitive is lax.dot_general_p:
            products += _operations_of_product(eqn)
    total = sum(convolutions)
    large = (
        total >= devices * len(convolutions) * _LEAST_OPERATIONS
        and total >= products
        and total >= _LEAST_BY_ELEMENT * elements
    )
    return YNN if convolutions and large and has_fusions(YNN, platform) else DEFAULT


def options_of(fusions: str) -> dict[str, Any]:
    """The `compiler_options` of `jax.jit` for fusions that there are."""
    return _OPTIONS[fusions]


def has_fusions(fusions: str, platform: str) -> bool:
    """Whether there are fusions of a name, in this jaxlib and on this platform."""
    return fusions == DEFAULT or (
        platform == "cpu" and fusions in _OPTIONS and _compiles(tuple(_OPTIONS[fusions].items()))
    )


@functools.cache
def _compiles(options: tuple[tuple[str, str], ...]) -> bool:
    """Whether this jaxlib takes compiler options, by compiling a sum with them."""
    number = jax.ShapeDtypeStruct((), "float32")
    try:
        jax.jit(lambda x: x + x, compiler_options=dict(options)).lower(number).compile()
    except RuntimeError:  # "No such compile option"
        return False
    return True


def _operations_of_convolution(eqn: Any) -> int:
    """Multiplications and additions."""
    kernel, spec = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"].rhs_spec
    taps = math.prod(kernel[axis] for axis in spec[1:])  # input features of a group, and space
    return 2 * taps * math.prod(eqn.outvars[0].aval.shape)


def _operations_of_product(eqn: Any) -> int:
    (summed, _), _ = eqn.params["dimension_numbers"]
    terms = math.prod(eqn.invars[0].aval.shape[axis] for axis in summed)
    return 2 * terms * math.prod(eqn.outvars[0].aval.shape)
