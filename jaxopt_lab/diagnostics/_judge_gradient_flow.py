"""Whether gradients vanish or explode on their way to the input."""

import numpy as np

from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.diagnostics._gradient_flow import GradientFlow
from jaxopt_lab.diagnostics.verdict import (
    DIVERGED,
    KEEP_VARIANCE,
    NORMALIZE,
    Factor,
    Verdict,
    on_host,
)

# Below these many steps between layers a factor per layer says nothing: the last layer of a small
# network has a larger gradient than the others in health too.
_FEWEST = 4

_VANISHING = (
    KEEP_VARIANCE,
    "Replace sigmoid and tanh by ReLU or its kin, such as leaky ReLU, ELU, GELU or SiLU.",
    "Add residual connections, which give the gradient a path without a factor.",
    NORMALIZE,
)
_EXPLODING = (
    "Clip the gradients by their global norm.",
    KEEP_VARIANCE,
    NORMALIZE,
    "Lower the learning rate, or warm it up.",
)


@checked
def judge_gradient_flow(
    flow: GradientFlow,
    *,
    per_layer: Factor = 3.0,
    in_all: Factor = 1e3,
    smallest: Positive = 1e-8,
    largest: Positive = 1e4,
) -> Verdict:
    """A verdict on a gradient flow: healthy, vanishing, exploding, or diverged.

    For arrays on the host, so not inside jit. It looks at the gradients' l2 norms g_1, ..., g_L of
    the layers with a matrix, from the input on, in the order that the flow has.

        diverged     a norm of parameters, gradients or updates is not finite
        vanishing    g_L / g_1 > in_all, or its root of degree L - 1 > per_layer (L > 4),
                     or g_l < smallest ||w_l|| in every layer
        exploding    g_1 / g_L > in_all, or its root likewise,
                     or g_l > largest ||w_l|| in some layer

    The last condition of each is there because in a linear or ReLU network the gradients by the
    weights are equal in all layers, and vanish or explode all together. Where every gradient is
    that small the network may also be at a minimum, which its loss tells.

    Args:
      flow: of `gradient_flow`, its `order` given where the tree's is not the network's.
      per_layer: > 1, the factor that is too much for one layer, as their geometric mean.
      in_all: > 1, the factor that is too much from end to end.
      smallest: > 0, relative to the norm of the layer's parameters.
      largest: > 0, relative to the norm of the layer's parameters.

    Returns:
      A `Verdict`. Its layer is where the gradient is smallest or largest, or not finite first;
      the evidence is `first` and `last`, the norms at both ends; `per_layer` and `in_all`, the
      factors by which they grow from the first to the last, below 1 where they fall; and
      `relative`, the norm at the layer, relative to its parameters.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for a flow that is traced, or of several networks.

    Reference: Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html; Pascanu et
    al., 2013, https://arxiv.org/abs/1211.5063
    """
    columns = {name: getattr(flow, name) for name in ("param_l2", "grad_l2", "update_l2")}
    rows = on_host("judge_gradient_flow", "flow", flow.layers, columns)
    finite = np.isfinite([rows["param_l2"], rows["grad_l2"]]).all(0)
    finite &= ~np.isinf(rows["update_l2"])
    if not np.isnan(rows["update_l2"]).all():  # all NaN are updates that were not given
        finite &= ~np.isnan(rows["update_l2"])
    if not finite.all():
        evidence = {"layers_not_finite": float((~finite).sum())}
        return Verdict("diverged", flow.layers[int(np.argmin(finite))], evidence, DIVERGED)
    chosen = np.flatnonzero(flow.matrices) if any(flow.matrices) else np.arange(len(flow.layers))
    grad, param = rows["grad_l2"][chosen], rows["param_l2"][chosen]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(grad == 0, 0.0, grad / param)
        growth = 1.0 if grad[-1] == grad[0] else grad[-1] / grad[0]
        steps = len(grad) - 1
        mean = growth ** (1 / max(steps, 1))
    least = per_layer if steps >= _FEWEST else np.inf
    low, high = int(np.argmin(grad)), int(np.argmax(grad))
    if (relative > largest).any():
        kind, at = "exploding", int(np.argmax(relative))
    elif growth > in_all or mean > least or (relative < smallest).all():
        kind, at = "vanishing", low
    elif growth < 1 / in_all or mean < 1 / least:
        kind, at = "exploding", high
    else:
        kind, at = "healthy", low
    evidence = {
        "first": grad[0], "last": grad[-1], "per_layer": mean, "in_all": growth,
        "relative": relative[at],
    }  # fmt: skip
    remedies = {"vanishing": _VANISHING, "exploding": _EXPLODING, "healthy": ()}[kind]
    layer = None if kind == "healthy" else flow.layers[chosen[at]]
    return Verdict(kind, layer, {k: float(v) for k, v in evidence.items()}, remedies)
