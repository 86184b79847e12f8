"""An operator, layer by layer."""

from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics._restricted import Restricted, restricted
from jaxopt_lab.diagnostics.layers import layer_of, names_by_layer
from jaxopt_lab.linalg import Product


def by_layer(product: Product, params: Params) -> dict[str, Restricted]:
    """The diagonal block of an operator for each layer.

    Use it to see in which layer the curvature is:
    `{path: trace(*block, key) for path, block in by_layer(product, params).items()}`.

    Args:
      product: `v -> A v` on pytrees as `params`.
      params: a pytree of arrays; the leaves next to one another, such as a kernel and its bias, are
        a layer, and a leaf at the top is one by itself.

    Returns:
      `{path of the layer: Restricted(product, like)}`, in the order of the leaves.
    """
    return {
        layer: restricted(product, params, lambda path, layer=layer: layer_of(path) == layer)
        for layer in names_by_layer(flatten_with_names(params))
    }
