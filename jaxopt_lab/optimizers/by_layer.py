"""A method of one tensor at a time, on tensors that hold a layer at each place of leading axes."""

import jax
import optax

from jaxopt_lab.core.mask import BatchAxes, full_batch_axes


def by_layer(
    method: optax.GradientTransformation, batch_axes: BatchAxes
) -> optax.GradientTransformation:
    """The method at each place of the batch axes by itself.

    Args:
      method: without a state, which takes a tensor's update and the tensor.
      batch_axes: how many leading axes each tensor has.
    """

    def update(updates, state, params=None):
        def one(update, param):
            return method.update(update, state, param)[0]

        def each(number, update, param):
            function = one
            for _ in range(number):
                function = jax.vmap(function)
            return function(update, param)

        axes = full_batch_axes(batch_axes, params)
        if not any(jax.tree.leaves(axes)):
            return method.update(updates, state, params)
        return jax.tree.map(each, axes, updates, params), state

    return optax.GradientTransformation(method.init, update)
