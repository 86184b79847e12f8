"""Mixup."""

from collections.abc import Callable

import jax

from jaxopt_lab.augment.mixing import shares, soft
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.core.types import Batch


@declare(any_shape=True, mixes=True)
@checked
def mixup(
    alpha: Positive = 1.0, *, per_sample: bool = False
) -> Callable[[jax.Array, Batch], Batch]:
    """Replace each sample by a convex combination with another, labels included.

    Regularizes classifiers of anything that can be averaged, and makes them less sure of
    themselves; 0.1 to 0.4 on large data, 1 on small images.

        lambda ~ Beta(alpha, alpha),    j = a permutation of the batch
        x_i <- lambda x_i + (1 - lambda) x_j(i)
        y_i <- lambda y_i + (1 - lambda) y_j(i)

    Args:
      alpha: > 0, a Python number; small ones leave most samples nearly alone, 1 is uniform.
      per_sample: static; one lambda for each sample rather than for each batch.

    Returns:
      `mix(key, batch) -> batch` on `{"x": (B, H, W, C), "y": (B, K)}`: images uint8, or
      float in [0, 1], and labels floating; both come out float32, the images in [0, 1]. Further
      entries of the batch stay as they are.

    Raises:
      ArgumentError: for an alpha out of its range.
      InputError: from `mix`, for labels that are not (B, K) distributions.

    Reference: Zhang et al., 2018, https://arxiv.org/abs/1710.09412.
    """

    def mix(key, batch):
        images, labels = soft("mixup", batch)
        size = len(images)
        share_key, partner_key = jax.random.split(key)
        share = shares(share_key, alpha, size if per_sample else 1)
        partner = jax.random.permutation(partner_key, size)

        def blend(x):
            weight = share.reshape(-1, *(1,) * (x.ndim - 1))
            return weight * x + (1 - weight) * x[partner]

        return batch | {"x": blend(images), "y": blend(labels)}

    return mix
