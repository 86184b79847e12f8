"""Which parameters something is for, and which of their axes are their own."""

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Range
from jaxopt_lab.core.types import Params

Mask = Any | Callable[[Params], Any] | None
"""A pytree of bools, a prefix of one, a function of the parameters that gives one, or None."""

BatchAxes = Annotated[int, Range(0)] | Mapping[str, Any] | Callable[[Params], Any] | None
"""How many leading axes of each parameter are not its own, but number layers (`nn.scan`) or members
(`jax.vmap`): a number for all, a pytree of numbers, a prefix of one, or a function of the
parameters that gives one; None for 0.
"""


def full_mask(mask: Mask, params: Params, batch_axes: BatchAxes = None) -> Any:
    """A bool for every leaf of `params`; for None, whether its own rank is above 1.

    Biases and the scales and offsets of normalizations have rank 1.
    """
    if mask is None:
        axes = full_batch_axes(batch_axes, params)
        return jax.tree.map(lambda p, n: jnp.ndim(p) - n > 1, params, axes)
    chosen = said_of(mask, params)
    return jax.tree.map(lambda m, subtree: jax.tree.map(lambda _: bool(m), subtree), chosen, params)


def masked(mask: Mask, batch_axes: BatchAxes = None) -> Callable[[Params], Any]:
    """`full_mask` as a function of the parameters."""
    return functools.partial(full_mask, mask, batch_axes=batch_axes)


def full_batch_axes(batch_axes: BatchAxes, params: Params) -> Any:
    """The number of batch axes of every leaf of `params`.

    Raises:
      InputError: where a leaf has no such number of axes, or the number is an array of JAX.
    """
    chosen = 0 if batch_axes is None else said_of(batch_axes, params, "iu")

    def of_leaf(number, leaf):
        if not isinstance(number, int | np.integer) or isinstance(number, bool):
            got = f"{type(number).__name__} {number!r}"
            if isinstance(number, jax.Array):
                got = "an array; optax.inject_hyperparams wants static_args=('batch_axes',)"
            raise InputError(f"batch_axes must be whole numbers of Python, got {got}")
        if not 0 <= number <= jnp.ndim(leaf):
            shape = jnp.shape(leaf)
            raise InputError(
                f"batch_axes: a parameter of shape {shape} has no {number} leading axes to leave "
                "out; give a number for each parameter where they differ"
            )
        return int(number)

    try:
        return jax.tree.map(lambda n, p: jax.tree.map(lambda x: of_leaf(n, x), p), chosen, params)
    except InputError:
        raise
    except ValueError as error:  # of another structure
        raise InputError(f"batch_axes is not built as the parameters: {error}") from None


def said_of(choice: Any, params: Params, kinds: str = "b") -> Any:
    """What a choice says of `params`: itself, or what it gives where it is a function.

    A pytree of numbers of these NumPy kinds is one even if it can be called, as a module with a
    bool in the place of each parameter can. optax looks at the leaves too.
    """
    leaves = jax.tree.leaves(choice)
    is_tree = leaves and all(np.dtype(getattr(x, "dtype", type(x))).kind in kinds for x in leaves)
    return choice(params) if callable(choice) and not is_tree else choice
