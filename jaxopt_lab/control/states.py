"""States of wrapped transformations: what is wrapped, copied, chosen between and set to zero."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def inner_transformation(inner: Any) -> optax.GradientTransformationExtraArgs:
    """`inner` with extra arguments; an `optax.MultiSteps` too, which would lose them otherwise."""
    if isinstance(inner, optax.MultiSteps):
        return optax.GradientTransformationExtraArgs(inner.init, inner.update)
    return optax.with_extra_args_support(inner)


def select(condition: jax.Array, new: Any, old: Any) -> Any:
    """`new` where the scalar condition holds, else `old`, bit for bit.

    No branch, so each lane of a `vmap` has its own choice. NaN in the other tree is lost.
    """
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def select_step(taken: jax.Array, new: Any, old: Any) -> Any:
    """`select` of a whole state, for a step that may be left out.

    What a state observes, its class says in `observed`: the names of fields that a measurement
    moves and no step. These are new in any case, because a measurement is given once.
    """

    def chosen(new, old):
        fields = getattr(new, "observed", None)
        if fields is None:
            return select(taken, new, old)
        pairs = zip(new._fields, new, old, strict=True)
        return type(new)(*(a if f in fields else select_step(taken, a, b) for f, a, b in pairs))

    return jax.tree.map(chosen, new, old, is_leaf=lambda node: hasattr(node, "observed"))


def zero_where(condition: jax.Array, tree: Any) -> Any:
    """Zeros where the scalar condition holds, whatever the leaves are; else the leaves."""

    def zero(x):
        # A leaf of float0, the gradient of a PRNG key, has no values.
        return x if x.dtype == jax.dtypes.float0 else jnp.where(condition, jnp.zeros_like(x), x)

    return jax.tree.map(zero, tree)


def copied(tree: Any) -> Any:
    """The leaves in buffers of their own.

    Parameters and a state that began as them can both be donated then.
    """
    return jax.tree.map(lambda x: jnp.array(x, copy=True), tree)
