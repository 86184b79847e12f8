"""AugMix.

Layout. A batch has N images (N, H, W, C), and each has `width` chains: N width chains, those of an
image side by side. A chain has a depth, the number of its operations. Under `vmap` a branch would
compute all its sides, so chains are dealt out to equal runs of places, and what differs between
chains becomes a slice:

1. Deal the chains to as many runs as there are depths, the deepest first: `place` (N width,).
2. Seat the images at their chains' places, as bytes: x (places, H, W, C).
3. Step j: the places whose depth is above j are the first ones. Deal these out to the operations,
   and compute each operation for its part only.
4. Bring the chains back from their places: (N, width, H, W, C).
5. Mix: the chains with Dirichlet weights (N, width), their sum with the image by a share (N,).

Of one image, and with `exact_iid` of each, all operations are computed and one is chosen.
"""

from collections.abc import Sequence
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.geometry import rotate, shear_x, shear_y, translate
from jaxopt_lab.augment.levels import autocontrast, equalize, posterize, solarize
from jaxopt_lab.augment.one_of import Operation, Operations, deal, dealt, places, seated, switched
from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.pixels import to_bytes, unit
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Count, Positive, Range, checked


@declare(views=True)
@checked
def augmix(
    width: Count = 3,
    depth: Sequence[Operations] = (1, 3),
    severity: Annotated[float, Range(0.1, 10)] = 3.0,
    alpha: Positive = 1.0,
    *,
    exact_iid: bool = False,
) -> Op:
    """Mix an image with several short chains of operations on it.

    For robustness to corruptions and for calibration, best with the consistency loss
    (`jensen_shannon` over the clean and two mixed `views`). Its operations avoid those corruptions.

        chain_i = a composition of d_i operations drawn uniformly,    d_i ~ U{depth}
        w ~ Dirichlet(alpha, ..., alpha),    m ~ Beta(alpha, alpha)
        x <- (1 - m) x + m sum_i w_i chain_i(x)

    The operations: autocontrast, equalize, posterize, rotate, solarize, shear along x or y,
    translate along x or y, each with a strength of its own, ~ U(0.1, severity)/10 of its greatest.

    Args:
      width: number of chains, >= 1.
      depth: the least and the greatest number of operations of a chain, [1, 3].
      severity: the greatest strength, 0.1 to 10.
      alpha: of both distributions, > 0.
      exact_iid: static; computes every operation for every image, which makes all draws of a batch
        independent, several times slower. Otherwise the chains of a batch are dealt out to the
        depths, and at each step to the operations, in equal parts at random: each image's own draws
        are distributed the same, but are drawn without replacement over the batch.

    Returns:
      An `Op` on (H, W, C) images that gives float32 in [0, 1]. A float image is taken in 256
      levels inside the chains.

    Raises:
      ArgumentError: for a value out of its range, or a depth that is not two rising numbers.

    Reference: Hendrycks et al., 2020, https://arxiv.org/abs/1912.02781, and the published code.

    Differs from: the published code in nothing on uint8 in float64; in float32 fewer than one byte
      in 10,000 of rotations and shears is off by 1. Keras' AugMix has other operations.
    """
    if len(depth) != 2 or depth[0] > depth[1]:
        text = f"must be the least and the greatest depth, such as [1, 3], got {list(depth)}"
        raise ArgumentError("augmix", {"depth": text})
    least, most = depth
    depths = most - least + 1

    def strength(key, shape):
        size, sign = jax.random.split(key)
        drawn = jax.random.uniform(size, shape, minval=0.1, maxval=severity) / 10
        return drawn * jax.random.rademacher(sign, shape, drawn.dtype)

    def shares(key, shape):
        chains, blend = jax.random.split(key)
        # At alpha = 1 both have a short form, without the rejection loop of the general one.
        if alpha == 1:
            weight = jax.random.exponential(chains, (*shape, width), jnp.float32)
            weight = weight / weight.sum(-1, keepdims=True)
            return weight, jax.random.uniform(blend, shape, jnp.float32)
        weight = jax.random.dirichlet(chains, jnp.full(width, alpha), shape, jnp.float32)
        return weight, jax.random.beta(blend, alpha, alpha, shape, jnp.float32)

    def mixed(shares, chains, images):
        weight, blend = shares  # (..., width), (...)
        blend = blend[..., None, None, None]
        chain = jnp.einsum("...i,...ihwc->...hwc", weight, unit(chains))  # (..., H, W, C)
        return jnp.clip((1 - blend) * unit(images) + blend * chain, 0, 1)

    def sample(key):
        deep, which, how, share = jax.random.split(key, 4)
        steps = {
            "which": jax.random.randint(which, (width, most), 0, len(OPERATIONS)),
            "strength": strength(how, (width, most)),
            "on": jnp.arange(most)[None] < jax.random.randint(deep, (width, 1), least, most + 1),
        }
        return steps, shares(share, ())

    def apply(draw, image):
        steps, share = draw

        def step(x, s):
            return jnp.where(s["on"], switched(OPERATIONS, s["which"], s["strength"], x), x), None

        def chain(steps):
            return jax.lax.scan(step, to_bytes(image), steps)[0]

        return mixed(share, jax.lax.map(chain, steps), image)

    def active(j, chains):
        """How many places take step j: those of the deeper runs, which come first."""
        return min(depths, most - j) * places(chains, depths)

    def sample_batch(key, n):
        deep, share, *layers = jax.random.split(key, 2 + most)
        steps = []
        for j, layer in enumerate(layers):
            which, how = jax.random.split(layer)
            here = active(j, width * n)
            steps.append((deal(which, here, len(OPERATIONS)), strength(how, (here,))))
        return deal(deep, width * n, depths), tuple(steps), shares(share, (n,))

    def apply_images(draws, images):
        place, steps, share = draws
        n = images.shape[0]
        if n == 0:
            return unit(images)
        x, done = to_bytes(images)[seated(place, depths) // width], []  # (places, H, W, C)
        for j, (which, how) in enumerate(steps):
            here = active(j, width * n)
            done.append(x[here:])  # chains that end before step j
            x = dealt(OPERATIONS, which, how, x[:here])
        x = jnp.concatenate([x, *reversed(done)])[place]  # (N width, H, W, C)
        return mixed(share, x.reshape(n, width, *images.shape[1:]), images)

    return Op(sample, apply) if exact_iid else Op(sample, apply, sample_batch, apply_images)


def _whole(greatest: float, strength: jax.Array) -> jax.Array:
    """A whole number of units, toward zero."""
    return jnp.trunc(greatest * strength).astype(int)


# The greatest of each: 4 bits, 30 degrees, 256 levels, a slope of 0.3, a third of the image.
OPERATIONS: tuple[Operation, ...] = (
    lambda image, t: autocontrast(image),
    lambda image, t: equalize(image),
    lambda image, t: posterize(image, 4 - _whole(4, abs(t))),
    lambda image, t: rotate(image, _whole(30, t)),
    lambda image, t: solarize(image, 256 - _whole(256, abs(t))),
    lambda image, t: shear_x(image, 0.3 * t),
    lambda image, t: shear_y(image, 0.3 * t),
    lambda image, t: translate(image, -_whole(image.shape[1] / 3, t), 0),
    lambda image, t: translate(image, 0, -_whole(image.shape[0] / 3, t)),
)
