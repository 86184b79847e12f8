"""PGD: projected gradient descent on the negative loss."""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.gradient_sign import LossFn, attacked, gradient_sign
from jaxopt_lab.core.ranges import Range, Repeats, checked
from jaxopt_lab.core.types import Batch


@checked
def pgd(
    epsilon: Annotated[float, Range(0, 1)] = 8 / 255,
    step: Annotated[float, Range(0, 1)] = 2 / 255,
    steps: Repeats = 7,
    *,
    random_start: bool = True,
) -> Callable[[jax.Array, Batch, LossFn], Batch]:
    """Raise the loss by small steps within epsilon of each pixel.

    The standard adversary: trained on, for a network that is robust in the ball; at evaluation,
    with more steps, for an upper bound of its robust accuracy. Costs `steps` gradients.

        x_0 = clip(x + U(-epsilon, epsilon), 0, 1)    or x, without the random start
        x_t = clip(x_{t-1} + step sign(grad l(x_{t-1})), max(x - epsilon, 0), min(x + epsilon, 1))

    Args:
      epsilon: in [0, 1], a pixel's largest change where white is 1.
      step: in [0, 1], its change in one step.
      steps: number of steps, 1 to 10,000; static.
      random_start: static; from a random point of the ball.

    Returns:
      `attack(key, batch, loss_fn) -> batch`: `batch["x"]` (B, H, W, C), uint8 or float in
      [0, 1], comes out float32 in [0, 1], further entries as they are; `loss_fn(images)` is the
      loss of such float32 images, (B,) or their mean, of which only the gradient's sign counts.
      A pixel whose gradient is 0 or NaN stays for that step. Where `loss_fn` mixes samples, as
      batch statistics do, each moves by its effect on the whole batch's loss.

    Raises:
      ArgumentError: for a number out of its range, such as an epsilon of 8 for 8/255.
      InputError: from the attack, for samples that are no images in [0, 1], unless traced.

    Reference: Madry et al., 2018, https://arxiv.org/abs/1706.06083.
    """

    def attack(key, batch, loss_fn):
        images = attacked(batch["x"])
        low, high = (images - epsilon).clip(0, 1), (images + epsilon).clip(0, 1)
        x = images
        if random_start:
            noise = jax.random.uniform(key, x.shape, jnp.float32, -1, 1)
            x = jnp.clip(x + epsilon * noise, low, high)

        def ascend(_, x):
            return jnp.clip(x + step * gradient_sign(loss_fn, x), low, high)

        # Convolutions inside a loop can be slow on CPU (2.5 times in a plain Flax network); many
        # steps written out would take long to compile.
        return batch | {"x": jax.lax.fori_loop(0, steps, ascend, x, unroll=steps <= 10)}

    return attack
