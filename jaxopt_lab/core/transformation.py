"""A transformation of the leaves that can be trained."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import cast_like, flatten_with_names, is_trained
from jaxopt_lab.core.types import Params


def transformation(
    init: Callable[[Params], Any], update: Callable[..., tuple[Params, Any]]
) -> optax.GradientTransformationExtraArgs:
    """An optax transformation of the floating and complex leaves; all others never move.

    `init` and `update` see a tree with holes, `optax.MaskedNode()`, where a leaf of the parameters
    is an integer, a bool or a PRNG key (without `params`: where the gradient's leaf is none of a
    floating number). Its gradient may be of any numbers or of `float0`, as `jax.grad` with
    `allow_int` gives it; its update is zero. The state keeps its dtypes from step to step, whatever
    is computed wider. A number of Python is an array without axes.

    Raises:
      InputError: from `update`, where the gradients have another structure than the parameters, as
        with None in the place of one.
    """

    def init_trained(params):
        params = as_arrays(params)
        return init(trained_part(params, params))

    def update_trained(grads, state, params=None, **extra):
        grads, params = as_arrays(grads), as_arrays(params)
        if params is not None:
            require_like(grads, params)
        like = grads if params is None else params
        if all(map(is_trained, jax.tree.leaves(like))):
            updates, new = update(grads, state, params, **extra)
            return updates, cast_like(new, state)
        part = None if params is None else trained_part(params, like)
        updates, new = update(trained_part(grads, like), state, part, **extra)
        updates = jax.tree.map(
            lambda x, g, u: u if is_trained(x) else _nothing(x, g), like, grads, updates
        )
        return updates, cast_like(new, state)

    return optax.GradientTransformationExtraArgs(init_trained, update_trained)


def as_arrays(tree: Any) -> Any:
    """The tree with arrays in the place of numbers of Python."""
    return jax.tree.map(lambda x: x if hasattr(x, "dtype") else jnp.asarray(x), tree)


def require_like(grads: Any, params: Params) -> None:
    """Make sure that gradients have the structure of the parameters.

    Raises:
      InputError: naming the first place where they do not.
    """
    if jax.tree.structure(grads) == jax.tree.structure(params):
        return
    given, wanted = (flatten_with_names(tree) for tree in (grads, params))
    where = lambda path: repr(path) if path else "the root"  # noqa: E731
    for path in wanted:
        if path not in given:
            raise InputError(
                f"update: no gradient at {where(path)}, where there is a parameter (None is none): "
                "give zeros, or leave it out of both, as optax.masked does"
            )
    for path in given:
        if path not in wanted:
            raise InputError(f"update: a gradient and no parameter at {where(path)}")
    structures = f"{jax.tree.structure(grads)}, expected {jax.tree.structure(params)}"
    raise InputError(f"update: the gradients are not built as the parameters: {structures}")


def trained_part(tree: Any, like: Any) -> Any:
    """The tree with `optax.MaskedNode()` where the leaf of `like` cannot be trained."""
    return jax.tree.map(lambda x, y: y if is_trained(x) else optax.MaskedNode(), like, tree)


def refuse_complex(method: str, tree: Any) -> None:
    """Hold a method to real numbers, where nothing says what it is on complex ones.

    Raises:
      InputError: where a leaf is complex.
    """
    found = {str(x.dtype) for x in jax.tree.leaves(tree) if jnp.iscomplexobj(x)}
    if found:
        raise InputError(
            f"{method}: is not defined for complex numbers, got {', '.join(sorted(found))}: give "
            "their real and imaginary parts as two leaves, or give these leaves to another method "
            "(optax.partition)"
        )


def joined(trained: Any, like: Any) -> Any:
    """`trained_part` undone: its holes filled with the leaves of `like`, its dtypes those of it."""
    hole = optax.MaskedNode
    return jax.tree.map(lambda x, y: x if isinstance(y, hole) else y.astype(x.dtype), like, trained)


def _nothing(leaf: jax.Array, grad: jax.Array) -> jax.Array:
    """An update that leaves the leaf alone in `optax.apply_updates`, which takes no float0.

    Of the leaf's dtype where it has numbers: a sum with 0.0 rounds whole numbers above 2^24.
    """
    if jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == jnp.bool_:
        return jnp.zeros_like(leaf)
    return grad if grad.dtype == jax.dtypes.float0 else jnp.zeros_like(grad)
