"""Hinge loss."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.losses.targets import targets, weighted


@checked
def hinge(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    multiclass: Literal["crammer_singer", "weston_watkins", "one_vs_rest"] = "crammer_singer",
    squared: bool = False,
    margin: Positive = 1.0,
) -> jax.Array:
    """Loss of support vector machines, one value a sample.

    Zero for a sample that is right by the margin m, so that only the others matter; `squared` is
    smooth and minds large errors more. With p = 1, or 2 where `squared`, and (a)+ = max(0, a):

        binary           l = (m - s z)+^p,    s = 1 for the positive class, -1 for the other
        crammer_singer   l = (m + max_{j != y} z_j - z_y)+^p
        weston_watkins   l = sum_{j != y} (m + z_j - z_y)+^p
        one_vs_rest      l = sum_j (m - s_j z_j)+^p,    s_j = 1 for j = y, else -1

    With labels between classes it is the expected loss over a class drawn from them.

    Args:
      outputs: scores z, (B, K), or (B,) or (B, 1) for two classes; any float dtype, computed in
        float32 or wider.
      labels: (B,) integer classes y in [0, K), or distributions over them, (B, K); with
        one_vs_rest any subset of classes. For two classes with one score 1 for the positive class,
        0 or -1 for the other, or its probability in [0, 1].
      multiclass: static; which loss where K > 1.
      squared: static; p = 2.
      margin: m > 0.

    Returns:
      (B,), float32 or wider.

    Raises:
      ArgumentError: for a margin out of its range or an unknown `multiclass`.
      InputError: where the labels' shape does not fit.

    Differs from: PyTorch's `MultiMarginLoss`, which is weston_watkins divided by K. Keras'
    `CategoricalHinge` is crammer_singer, its `Hinge` the mean of one_vs_rest over classes.

    Reference: Crammer and Singer, 2001, https://www.jmlr.org/papers/v2/crammer01a.html; Weston and
    Watkins, 1999, https://www.esann.org/sites/default/files/proceedings/legacy/es1999-461.pdf;
    Rifkin and Klautau, 2004, https://www.jmlr.org/papers/v5/rifkin04a.html (one against the rest).
    """
    z, y = targets(outputs, labels, "hinge", signs=True)

    def violation(a):
        a = jax.nn.relu(margin + a)
        return a**2 if squared else a

    if z.shape[1] == 1 or multiclass == "one_vs_rest":
        return (weighted(y, violation, -z) + weighted(1 - y, violation, z)).sum(-1)

    def of_class(hot):
        """The loss of each sample where `hot`, (B, K) or (1, K) bool, marks its class."""
        # Where its label has no weight it is not counted: -inf less -inf would be NaN.
        at = jnp.where(hot & (y > 0), z, 0).sum(-1, keepdims=True)
        if multiclass == "crammer_singer":
            return violation(jnp.where(hot, -jnp.inf, z - at).max(-1))
        return jnp.where(hot, 0, violation(z - at)).sum(-1)

    if jnp.ndim(labels) == 1:
        return of_class(y > 0)
    losses = jax.vmap(of_class)(jnp.eye(z.shape[1], dtype=jnp.bool_)[:, None])
    return weighted(y, lambda loss: loss, losses.T).sum(-1)
