"""Moves of an image against Pillow and against a NumPy loop."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augment.patches import patches
from PIL import Image

from jaxopt_lab.augment import affine, rotate, shear_x, shear_y, translate

RNG = np.random.default_rng(1)
ANGLES, SLOPES = RNG.uniform(-180, 180, 300), RNG.uniform(-0.3, 0.3, 300)
PIXELS = RNG.integers(-12, 13, 300)
MATRICES = RNG.normal(size=(300, 2, 3)) * [0.3, 0.3, 5] + np.eye(2, 3)


def transformed(image, *data):
    return image.transform(image.size, Image.Transform.AFFINE, data, resample=Image.BILINEAR)


def from_corner(image, matrix):
    (a, b, c), (d, e, f) = matrix
    h = 16  # half the size: Pillow's origin is the corner, and `Image.rotate` has this order
    return transformed(image, a, b, (a * -h + b * -h + c) + h, d, e, (d * -h + e * -h + f) + h)


CASES = {
    "rotate": (rotate, lambda im, v: im.rotate(v, resample=Image.BILINEAR), ANGLES),
    "rotate by whole degrees": (
        rotate,
        lambda im, v: im.rotate(v, resample=Image.BILINEAR),
        RNG.integers(-29, 30, 300).astype(float),
    ),
    "shear_x": (shear_x, lambda im, v: transformed(im, 1, v, 0, 0, 1, 0), SLOPES),
    "shear_y": (shear_y, lambda im, v: transformed(im, 1, 0, 0, v, 1, 0), SLOPES),
    "translate x": (
        lambda im, v: translate(im, -v, 0),
        lambda im, v: transformed(im, 1, 0, v, 0, 1, 0),
        PIXELS,
    ),
    "translate y": (
        lambda im, v: translate(im, 0, -v),
        lambda im, v: transformed(im, 1, 0, 0, 0, 1, v),
        PIXELS,
    ),
    "affine": (affine, from_corner, MATRICES),
}


@pytest.fixture(params=[False, True], ids=["float32", "float64"], name="double")
def _double(request):
    jax.config.update("jax_enable_x64", request.param)
    yield request.param
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize("case", CASES)
def test_equals_pillow(case, double):
    f, pillow, values = CASES[case]
    ours = np.asarray(jax.jit(jax.vmap(f))(patches(), values)).astype(int)
    theirs = np.stack(
        [pillow(Image.fromarray(p), v.tolist()) for p, v in zip(patches(), values, strict=True)]
    )
    off = np.abs(ours - theirs)
    # In double every byte; in float32 the truncation of a value that is nearly whole may fall on
    # the other side: 2e-5 of the bytes here.
    assert off.max() <= (0 if double else 1)
    assert (off > 0).mean() < 1e-4


ROUND = np.array([0.01, 0.05, 0.09, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.7, 0.99, 1.0, 0.3 * 9 / 30])
ROUND = np.concatenate([ROUND, -ROUND])
ROUND_CASES = {
    "shear_x": (*CASES["shear_x"][:2], ROUND),
    "shear_y": (*CASES["shear_y"][:2], ROUND),
    "rotate": (*CASES["rotate"][:2], np.array([0.1, 5, 10, 15, 30, 45, 60, 90, 120, -30, -45])),
    **{
        name: (
            lambda im, v, of=of: affine(im, jnp.array(of(v))),
            lambda im, v, of=of: from_corner(im, of(v)),
            ROUND,
        )
        for name, of in {
            "affine shear": lambda v: [[1, v, 0], [0, 1, 0]],
            "affine": lambda v: [[1 - v, v, 0.5], [0.1, 1 + v, -0.3]],
        }.items()
    },
}


@pytest.mark.parametrize("case", ROUND_CASES)
def test_round_numbers_equal_pillow_to_the_bit_in_double(case, x64):
    """Whose results are often whole but for the last bit, which the truncation makes a level."""
    f, pillow, values = ROUND_CASES[case]
    x = patches()[:8]
    ours = jax.jit(jax.vmap(jax.vmap(f, (0, None)), (None, 0)))(x, values)
    theirs = [[np.asarray(pillow(Image.fromarray(p), v)) for p in x] for v in values.tolist()]
    np.testing.assert_array_equal(ours, theirs)


def loop(image, matrix, fill, nearest):
    """The same pull, pixel by pixel, in Python's double precision."""
    h, w, _ = image.shape
    out = np.full(image.shape, fill)
    (a, b, c), (d, e, f) = matrix
    for j in range(h):
        for i in range(w):
            x, y = i + 0.5 - w / 2, j + 0.5 - h / 2
            x, y = a * x + b * y + c + w / 2, d * x + e * y + f + h / 2
            if not (0 <= x < w and 0 <= y < h):
                continue
            if nearest:
                out[j, i] = image[math.floor(y), math.floor(x)]
                continue
            x, y = x - 0.5, y - 0.5
            total = 0.0
            for row in (math.floor(y), math.floor(y) + 1):
                for column in (math.floor(x), math.floor(x) + 1):
                    share = (1 - abs(x - column)) * (1 - abs(y - row))
                    tap = image[min(max(row, 0), h - 1), min(max(column, 0), w - 1)]
                    total = total + share * tap
            out[j, i] = total
    return out


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_affine_equals_a_loop_where_the_image_is_not_square(interpolation):
    image = RNG.uniform(size=(7, 10, 2)).astype(np.float32)
    pull = jax.jit(lambda m: affine(image, m, interpolation=interpolation, fill=0.25))
    for matrix in (MATRICES * [1, 1, 0.4])[:20]:
        expected = loop(image.astype(float), matrix, 0.25, interpolation == "nearest")
        # float32 coordinates: 1e-6 of a pixel.
        np.testing.assert_allclose(pull(matrix), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_are_exact(quarters):
    image = jnp.asarray(patches()[0])
    np.testing.assert_array_equal(rotate(image, 90.0 * quarters), np.rot90(image, quarters))


@pytest.mark.parametrize("fill", [0.0, 0.5, 1.0])
def test_fill_is_a_level_of_the_dtype(fill):
    image = jnp.full((5, 4, 1), 7, jnp.uint8)
    moved = translate(image, 2, -3, fill=fill)
    expected = np.full((5, 4, 1), round(255 * fill))
    expected[:2, 2:] = 7
    np.testing.assert_array_equal(moved, expected)
