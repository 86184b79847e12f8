"""TrivialAugment."""

import jax

from jaxopt_lab.augment.one_of import one_of
from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.wide_operations import wide_operations
from jaxopt_lab.core.ranges import checked


@checked
def trivial_augment(*, exact_iid: bool = False) -> Op:
    """Apply one operation, drawn uniformly from 14, at a strength drawn uniformly too.

    Nothing to tune, and as good as the policies that are searched for.

        x <- op(x),    strength ~ +- U{0, 1, ..., 30}/30 of the operation's greatest

    The operations are those of `rand_augment`, wider: slope 0.99, 32 pixels, 135 degrees, factor
    1 +- 0.99, 6 bits less.

    Args:
      exact_iid: static; computes all operations for every image, which makes the draws of a batch
        independent, several times slower. Otherwise the operations are dealt out to the batch in
        equal parts at random: each image's operation is uniform, but they are drawn without
        replacement.

    Returns:
      An `Op` on (H, W, C) images; float32 is taken in 256 levels.

    Reference: Mueller and Hutter, 2021, https://arxiv.org/abs/2103.10158.

    Differs from: torchvision, whose ranges these are, in interpolating bilinearly, and in that
      nothing is changed at a strength of 0, where torchvision's solarize inverts white.
    """
    operations = wide_operations(slope=0.99, pixels=32.0, angle=135.0, change=0.99, bits=6)

    def strength(key, shape):
        size, sign = jax.random.split(key)
        return jax.random.randint(size, shape, 0, 31) * jax.random.rademacher(sign, shape, float)

    return one_of(operations, strength, exact_iid=exact_iid)
