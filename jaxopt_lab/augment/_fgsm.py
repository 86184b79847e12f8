"""FGSM: the fast gradient sign method."""

from collections.abc import Callable
from typing import Annotated

import jax

from jaxopt_lab.augment.gradient_sign import LossFn, attacked, gradient_sign
from jaxopt_lab.core.ranges import Range, checked
from jaxopt_lab.core.types import Batch


@checked
def fgsm(
    epsilon: Annotated[float, Range(0, 1)] = 8 / 255,
) -> Callable[[jax.Array, Batch, LossFn], Batch]:
    """Move every pixel by epsilon in the direction that raises the loss.

    The cheapest adversary, one gradient: for a first look at robustness. A network trained on it
    alone can learn to mask its gradient and fall to `pgd`.

        x' = clip(x + epsilon sign(grad_x l(x)), 0, 1)

    Args:
      epsilon: in [0, 1], a pixel's largest change where white is 1.

    Returns:
      `attack(key, batch, loss_fn) -> batch`: `batch["x"]` (B, H, W, C), uint8 or float in
      [0, 1], comes out float32 in [0, 1], further entries as they are; `loss_fn(images)` is the
      loss of such float32 images, (B,) or their mean, of which only the gradient's sign counts.
      `key` is not used. A pixel whose gradient is 0 or NaN stays. Where `loss_fn` mixes samples,
      as batch statistics do, each moves by its effect on the whole batch's loss.

    Raises:
      ArgumentError: for an epsilon out of its range, such as 8 for 8/255.
      InputError: from the attack, for samples that are no images in [0, 1], unless traced.

    Reference: Goodfellow et al., 2015, https://arxiv.org/abs/1412.6572, section 4.
    """

    def attack(key, batch, loss_fn):
        del key
        images = attacked(batch["x"])
        moved = images + epsilon * gradient_sign(loss_fn, images)
        return batch | {"x": moved.clip(0, 1)}

    return attack
