"""Parameters that stay as they are, and the statistics that belong to them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxopt_lab.core.tree import path_name
from jaxopt_lab.core.types import ModelState, Params


class Frozen(NamedTuple):
    """Which parameters and which leaves of a model's other collections do not change.

    Their gradient is 0 at its source, so that a norm, a clip or a perturbation sees what trains.

    Attributes:
      params: whether the parameter at a path, "Dense_0/kernel", is one of them.
      state: the same of a leaf of a collection, by its path in that: "BatchNorm_0/mean".
    """

    params: Callable[[str], bool]
    state: Callable[[str], bool]

    def stopped(self, params: Params) -> Params:
        """The parameters, those that are frozen as constants."""

        def stop(path: Any, leaf: jax.Array) -> jax.Array:
            return jax.lax.stop_gradient(leaf) if self.params(path_name(path)) else leaf

        return jax.tree_util.tree_map_with_path(stop, params)

    def held(self, before: ModelState, after: ModelState) -> ModelState:
        """The collections after a pass, with what is frozen as it was before."""

        def hold(path: Any, old: jax.Array, new: jax.Array) -> jax.Array:
            return old if self.state(path_name(path[1:])) else new

        return jax.tree_util.tree_map_with_path(hold, before, after)


NOTHING = Frozen(lambda name: False, lambda name: False)
