"""CutMix."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.mixing import shares, soft
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Positive, Probability, checked
from jaxopt_lab.core.types import Batch


@declare(mixes=True)
@checked
def cutmix(
    alpha: Positive = 1.0, *, per_sample: bool = False, probability: Probability = 1.0
) -> Callable[[jax.Array, Batch], Batch]:
    """Replace a box of each image by that of another, and its area's share of the label.

    For natural images whose class shows in many places: no pixel is averaged or lost.

        lambda ~ Beta(alpha, alpha),    j = a permutation of the batch
        box of height floor(H sqrt(1 - lambda)) and width floor(W sqrt(1 - lambda)), its center
        uniform over the pixels, clipped at the border
        x_i <- x_j(i) in the box,    a = area of the clipped box / (H W)
        y_i <- (1 - a) y_i + a y_j(i)

    Args:
      alpha: > 0, a Python number; 1 is uniform.
      per_sample: static; one box for each sample rather than for each batch.
      probability: in [0, 1], of mixing at all, drawn for each box; 0.5 for CIFAR in the paper's
        code, 1 for ImageNet.

    Returns:
      `mix(key, batch) -> batch` on `{"x": (B, H, W, C), "y": (B, K)}`: images uint8, or
      float in [0, 1], and labels floating; both come out float32, the images in [0, 1]. Further
      entries of the batch stay as they are.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `mix`, for labels that are not (B, K) distributions.

    Reference: Yun et al., 2019, https://arxiv.org/abs/1905.04899.

    Differs from: the paper's code, whose box has an even side, one pixel less where it is odd here.
    """

    def mix(key, batch):
        images, labels = soft("cutmix", batch)
        size, height, width, _ = images.shape
        share_key, partner_key, row_key, column_key, mixed_key = jax.random.split(key, 5)
        boxes = size if per_sample else 1
        mixed = jax.random.bernoulli(mixed_key, probability, (boxes,))
        side = jnp.sqrt(jnp.where(mixed, 1 - shares(share_key, alpha, boxes), 0))
        partner = jax.random.permutation(partner_key, size)

        def inside(key, length):
            """Which of `length` places each box covers, (boxes, length) bool."""
            cut = (length * side).astype(jnp.int32)
            low = jax.random.randint(key, (boxes,), 0, length) - cut // 2
            place = jnp.arange(length)[None, :]
            return (place >= low[:, None]) & (place < (low + cut)[:, None])

        box = inside(row_key, height)[:, :, None] & inside(column_key, width)[:, None, :]
        area = box.mean((1, 2), dtype=jnp.float32)[:, None]
        return batch | {
            "x": jnp.where(box[..., None], images[partner], images),
            "y": (1 - area) * labels + area * labels[partner],
        }

    return mix
