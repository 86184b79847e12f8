"""What a wrapper wraps."""

from typing import Any

import optax


def inner_transformation(inner: Any) -> optax.GradientTransformationExtraArgs:
    """`inner` with extra arguments; an `optax.MultiSteps` too, which would lose them otherwise."""
    if isinstance(inner, optax.MultiSteps):
        return optax.GradientTransformationExtraArgs(inner.init, inner.update)
    return optax.with_extra_args_support(inner)
