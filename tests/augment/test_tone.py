"""Levels and colors against Pillow on real images, and against closed forms."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augment.patches import patches
from PIL import Image, ImageEnhance, ImageOps

from jaxopt_lab import augment

RNG = np.random.default_rng(2)
# Round factors, where the product is nearly whole, are where the order of rounding shows.
FACTORS = np.concatenate([RNG.uniform(0, 2, 150), RNG.integers(0, 21, 150) / 10])
NONE = np.zeros(300)

PILLOW = {
    "autocontrast": (lambda im, _: ImageOps.autocontrast(im), NONE),
    "equalize": (lambda im, _: ImageOps.equalize(im), NONE),
    "invert": (lambda im, _: ImageOps.invert(im), NONE),
    "grayscale": (lambda im, _: im.convert("L").convert(im.mode), NONE),
    "posterize": (ImageOps.posterize, RNG.integers(1, 9, 300)),
    "solarize": (ImageOps.solarize, RNG.integers(0, 257, 300)),
    "brightness": (lambda im, v: ImageEnhance.Brightness(im).enhance(v), FACTORS),
    "contrast": (lambda im, v: ImageEnhance.Contrast(im).enhance(v), FACTORS),
    "saturation": (lambda im, v: ImageEnhance.Color(im).enhance(v), FACTORS),
    "sharpness": (lambda im, v: ImageEnhance.Sharpness(im).enhance(v), FACTORS),
}


def low_contrast(images):
    """A third as they are, a third with few levels, a third of one or two levels."""
    images = images.copy()
    images[100:200] = images[100:200] // 5 + np.arange(100, dtype=np.uint8)[:, None, None, None]
    images[200:] = images[200:] // 128 + 3
    return images


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("name", PILLOW)
def test_equals_pillow_to_the_bit(name, channels):
    pillow, values = PILLOW[name]
    f = getattr(augment, name)
    x = low_contrast(patches())[..., :channels]
    given = (x,) if values is NONE else (x, values)
    ours = np.asarray(jax.jit(jax.vmap(f))(*given))
    theirs = np.stack(
        [
            np.asarray(pillow(Image.fromarray(p.squeeze()), v.item())).reshape(p.shape)
            for p, v in zip(x, values, strict=True)
        ]
    )
    np.testing.assert_array_equal(ours, theirs)


def test_autocontrast_equals_pillow_for_every_pair_of_levels():
    low, high = (a.ravel() for a in np.triu_indices(256))
    some = RNG.permutation(len(low))[:4000]
    levels = np.linspace(low[some], high[some], 40, axis=1).astype(np.uint8)[:, :, None, None]
    ours = np.asarray(jax.jit(jax.vmap(augment.autocontrast))(levels))
    theirs = [np.asarray(ImageOps.autocontrast(Image.fromarray(x[..., 0]))) for x in levels]
    np.testing.assert_array_equal(ours[..., 0], np.stack(theirs))


@pytest.mark.parametrize("name", PILLOW)
def test_floats_are_the_bytes_between(name):
    f, values = getattr(augment, name), PILLOW[name][1]
    given = () if values is NONE else (PILLOW[name][1][7].item(),)
    x = patches()[0]
    on_bytes = np.asarray(f(x, *given)) / 255
    on_floats = f(jnp.asarray(x, jnp.float32) / 255, *given)
    assert on_floats.dtype == jnp.float32
    # Bytes are truncated once, and the plainer image rounded once.
    np.testing.assert_allclose(on_floats, on_bytes, rtol=0, atol=2 / 255)


def test_gamma_is_a_power():
    x = patches()[:4]
    expected = np.round(255 * (x / 255) ** 1.7).astype(int)
    # float32's power is good to 1e-6: a value that is nearly half-way may round to the other side.
    assert np.abs(np.asarray(augment.gamma(x, 1.7)).astype(int) - expected).max() <= 1


def test_hue_equals_colorsys():
    x, turn = patches()[0].reshape(-1, 3)[:300] / 255, 0.3
    hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in x]
    expected = [colorsys.hsv_to_rgb((h + turn) % 1, s, v) for h, s, v in hsv]
    ours = augment.hue(jnp.asarray(x, jnp.float32)[None], turn)[0]
    # float32, a few roundings of numbers up to 6.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    gray = jnp.ones((2, 2, 1))
    np.testing.assert_array_equal(augment.hue(gray, 0.3), gray)
