"""`[loss] class_weights`: how much a sample of each class counts."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import BALANCED
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.core.registry import nearest

Weigh = Callable[[jax.Array], jax.Array]


def build_weights(config: Config, signature: Signature) -> Weigh | None:
    """`labels (B,) or (B, K) -> (B,)`: the weight of each sample's class; None for 1.

    Their mean over the training split is 1, so that the loss of a batch of any size is on average
    the weighted mean over the split, sum_i c_i l_i / sum_i c_i. A sample between classes has the
    mean of their weights. "balanced" gives every class the same sum.

    Raises:
      ConfigError: for a name that is no class, or targets that are not one class a sample.
    """
    chosen = config.class_weights
    if chosen is None:
        return None
    if signature.targets != "classes":
        fault = f"weigh samples by their class, the targets are {signature.targets}; remove them"
        raise ConfigError("configuration", [("loss.class_weights", fault)])
    counts = np.asarray(signature.class_counts, np.float32)
    total = counts.sum()
    if chosen == BALANCED:
        present = counts > 0
        each = np.where(present, total / (present.sum() * np.where(present, counts, 1)), 0)
        factors = jnp.asarray(each, jnp.float32)
    else:
        assert not isinstance(chosen, str)
        if unknown := [name for name in chosen if name not in signature.classes]:
            names = ", ".join(signature.classes)
            faults = [
                (
                    f"loss.class_weights.{name}",
                    f"is no class{nearest(name, signature.classes)}; the classes are {names}",
                )
                for name in unknown
            ]
            raise ConfigError("configuration", faults)
        given = jnp.stack(
            [jnp.asarray(chosen.get(name, 1.0), jnp.float32) for name in signature.classes]
        )
        factors = given * total / (given * counts).sum()

    def weigh(labels: jax.Array) -> jax.Array:
        if labels.ndim == 1:
            return factors[labels]
        return (labels * factors[None]).sum(-1)

    return weigh
