"""Whether a program holds a convolution that XLA's CPU backend slows down inside a loop."""

from collections.abc import Iterator
from typing import Any

from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxopt_lab.core.programs import programs_in


def slow_in_loop(jaxpr: ClosedJaxpr | Jaxpr) -> bool:
    """Whether a program holds a convolution that would run slowly inside a loop on CPU.

    XLA's CPU backend has one fast convolution, labeled NHWC, HWIO -> NHWC (in 1-D and 3-D
    likewise). Outside loops it rewrites others into these labels, inside it does not. Use it to
    choose between a compiled loop of training steps and a dispatch for each, which costs such
    steps nothing.

    Measured, time in a loop over time outside: 2-D with other labels in any operand 10 to 25, the
    two gradients of a plain convolution 24 and 29, of a depthwise kernel 35, two groups with other
    labels 4, 1-D and 3-D 2; float64, float16 and bfloat16 alike. In the fast labels about 1,
    whatever the stride, dilation, kernel size and feature groups, and less than 1 with batch
    groups. With other labels and many groups, and for 1x1 kernels, a loop may cost nothing; these
    count as slow all the same, as their gradients are.

    Args:
      jaxpr: of a training step, gradient included: `jax.make_jaxpr(step)(state, batch)`.

    Returns:
      True where any convolution, also in a nested program, has other labels.
    """
    return any(
        eqn.primitive is lax.conv_general_dilated_p
        and not _is_fast(eqn.params["dimension_numbers"])
        for eqn in equations(jaxpr)
    )


def has_convolution(jaxpr: ClosedJaxpr | Jaxpr) -> bool:
    """Whether a program holds a convolution, in whatever labels."""
    return any(eqn.primitive is lax.conv_general_dilated_p for eqn in equations(jaxpr))


def _is_fast(numbers: lax.ConvDimensionNumbers) -> bool:
    # In each spec: batch (or output features), features (or input features), spatial axes.
    last = len(numbers.lhs_spec) - 1
    image = (0, last, *range(1, last))
    kernel = (last, last - 1, *range(last - 1))
    return (tuple(numbers.lhs_spec), tuple(numbers.rhs_spec), tuple(numbers.out_spec)) == (
        image,
        kernel,
        image,
    )


def equations(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """The equations of a program on a CPU, in place of loops and calls those inside them."""
    for eqn in jaxpr.eqns:
        params = dict(eqn.params)
        if (platforms := params.get("branches_platforms")) is not None:
            # Of `lax.platform_dependent`; None stands for all platforms that are not named.
            chosen = next(i for i, names in enumerate(platforms) if names is None or "cpu" in names)
            params["branches"] = params["branches"][chosen]
        inner = programs_in([*params.values()])
        for program in inner:
            yield from equations(program)
        if not inner:
            yield eqn
