"""`[log] layers`: how large gradient, update and weights of each layer are as a run trains."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.metrics import CLIPPED, GRADIENT, RATIO, UPDATE, WEIGHT, of_layer
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.layers import l2_and_rms, l2_of, names_by_layer, trained_leaves
from jaxopt_lab.engine import Layout, Meter, Seen, given_norm


def may_branch(layout: Layout | None) -> bool:
    """Whether a meter may leave out steps on these devices.

    Those of a CPU wait for each other for ever where what they exchange is within a branch.
    """
    if layout is None or not isinstance(layout.mesh, Mesh):
        return True
    return layout.mesh.devices.flat[0].platform != "cpu"


def build_meter(config: Config, *, clips: bool, branches: bool) -> Meter | None:
    """The meter of a file; None where it asks for none.

    Layers are those of `diagnostics.gradient_flow`.

    Args:
      config: its `[log]`.
      clips: whether the chain keeps the norm of what its optimizer gets.
      branches: as of `Meter`.
    """
    if config.log.layers is None:
        return None

    def names(params: Params) -> tuple[str, ...]:
        layers, kinds = names_by_layer(trained_leaves(params)), (GRADIENT, UPDATE, WEIGHT, RATIO)
        return (GRADIENT, CLIPPED, *(of_layer(what, layer) for what in kinds for layer in layers))

    def measure(seen: Seen) -> jax.Array:
        trees = [trained_leaves(tree) for tree in (seen.grads, seen.updates, seen.params)]
        layers = names_by_layer(trees[2]).values()
        norms, _ = l2_and_rms([[tree[name] for name in own] for tree in trees for own in layers])
        gradient, update, weight = jnp.split(norms, 3)
        # As of `GradientFlow`: 0 where a layer stands still, whatever it holds.
        ratio = jnp.where(update == 0, 0, update / weight)
        before = l2_of(gradient)
        after = given_norm(seen.opt_state) if clips else before
        whole = jnp.stack([before, after])
        return jnp.concatenate([whole, gradient, update, weight, ratio])

    # Traced once, though the step that it is in is traced several times.
    return Meter(config.log.layers, names, jax.jit(measure), branches)
