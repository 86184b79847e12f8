"""Augmentations: what every op keeps, and each against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import AUGMENTATIONS as CASES

from jaxopt_lab.augment import AUGMENTATIONS, batched, compose, random_crop, random_flip


@pytest.fixture(params=AUGMENTATIONS, name="op")
def _op(request):
    return AUGMENTATIONS[request.param](**CASES[request.param])


def images(shape=(8, 6, 5, 3), dtype=np.uint8):
    x = np.random.default_rng(0).integers(0, 256, shape)
    return jnp.asarray(x.astype(np.uint8) if dtype == np.uint8 else (x / 255).astype(np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(8, 6, 5, 3), (8, 4, 4, 1), (8, 1, 1, 2)])
def test_what_goes_in_comes_out(op, shape, dtype):
    x = images(shape, dtype)
    y = batched(op)(jax.random.key(0), x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.min() >= 0
    assert y.max() <= (255 if dtype == np.uint8 else 1)


def test_batched_and_jitted_equal_one_by_one(op):
    x, key = images(), jax.random.key(1)
    loop = jnp.stack(
        [op(k, image) for k, image in zip(jax.random.split(key, len(x)), x, strict=True)]
    )
    np.testing.assert_array_equal(batched(op)(key, x), loop)
    np.testing.assert_array_equal(jax.jit(batched(op))(key, x), loop)


def test_determined_by_the_key_and_differs_between_samples(op):
    x = jnp.broadcast_to(images()[:1], (64, 6, 5, 3))
    a, b, c = (batched(op)(jax.random.key(k), x) for k in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert len(np.unique(np.asarray(a).reshape(64, -1), axis=0)) > 1


def test_a_draw_can_be_applied_again(op):
    image, key = images()[0], jax.random.key(2)
    draw = op.sample(key)
    np.testing.assert_array_equal(op.apply(draw, image), op(key, image))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_crop_is_a_window_of_the_padded_image(mode):
    op, image = random_crop(2, mode=mode), images()[0]
    padded = np.pad(np.asarray(image), ((2, 2), (2, 2), (0, 0)), mode=mode)
    seen = set()
    for k in range(200):
        top, left = map(int, op.sample(jax.random.key(k)))
        seen.add((top, left))
        np.testing.assert_array_equal(
            op(jax.random.key(k), image), padded[top : top + 6, left : left + 5]
        )
    assert {t for t, _ in seen} == {c for _, c in seen} == set(range(5))


def test_crop_offsets_are_uniform():
    offsets = jax.vmap(random_crop(4).sample)(jax.random.split(jax.random.key(0), 20_000))
    counts = np.stack([np.bincount(offsets[:, i], minlength=9) for i in range(2)])
    # Each count is binomial with standard deviation 44; 5 of those is never reached by chance.
    assert np.abs(counts - 20_000 / 9).max() < 5 * 44


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_flip_mirrors_with_its_probability(probability):
    x = jnp.broadcast_to(images()[:1], (4000, 6, 5, 3))
    y = np.asarray(batched(random_flip(probability))(jax.random.key(0), x))
    flipped = (y == np.asarray(x)[:, :, ::-1]).all((1, 2, 3))
    same = (y == np.asarray(x)).all((1, 2, 3))
    assert (flipped ^ same).all()
    # Five standard deviations of the share of 4,000.
    assert abs(flipped.mean() - probability) <= 5 * np.sqrt(probability * (1 - probability) / 4000)


def test_compose_applies_from_left_to_right_with_keys_of_their_own():
    image, key = images()[0], jax.random.key(5)
    op = compose(random_crop(2), random_flip())
    crop, flip = op.sample(key)
    expected = random_flip().apply(flip, random_crop(2).apply(crop, image))
    np.testing.assert_array_equal(op(key, image), expected)
    twice = jax.vmap(compose(random_crop(4), random_crop(4)).sample)(jax.random.split(key, 100))
    assert (twice[0] != twice[1]).any()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: random_crop(-1),
        lambda: random_crop(4, mode="wrap"),  # pyright: ignore
        lambda: random_flip(1.5),
        lambda: random_flip(float("nan")),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()
