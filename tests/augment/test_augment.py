"""Augmentations: what every op keeps, and each against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import AUGMENTATIONS as CASES

from jaxopt_lab.augment import (
    AUGMENTATIONS,
    augmix,
    batched,
    compose,
    cutout,
    gaussian_blur,
    gaussian_noise,
    op,
    per_batch,
    rand_augment,
    random_crop,
    random_erasing,
    random_flip,
    random_hue,
    random_posterize,
    random_rotate,
    random_zoom,
    views,
)
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.testing import augmentation as promises


@pytest.fixture(params=AUGMENTATIONS, name="name")
def _name(request):
    return request.param


POLICIES = ("augmix", "rand_augment", "trivial_augment")


def make(name):
    return AUGMENTATIONS[name](**CASES[name])


def images(shape=(8, 6, 5, 3), dtype=np.uint8):
    x = np.random.default_rng(0).integers(0, 256, shape)
    return jnp.asarray(x.astype(np.uint8) if dtype == np.uint8 else (x / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((8, 6, 5, 3), np.uint8),
        ((2, 1, 1, 2), np.float32),
        ((1, 4, 4, 1), np.uint8),
        ((0, 6, 5, 3), np.float32),
    ],
)
def test_what_goes_in_comes_out(name, shape, dtype):
    x = jax.ShapeDtypeStruct(shape, dtype)
    if name in ("random_crop", "cutout") and shape[1] == 1:
        with pytest.raises(ValueError, match="the image's side, got"):
            jax.eval_shape(batched(make(name)), jax.random.key(0), x)
        return
    out = np.float32 if name == "augmix" else dtype
    promises.keeps_shape_and_dtype(batched(make(name)), shape, dtype, out)


MOVES = ("random_crop", "random_flip", "random_translate", "random_rotate", "random_zoom")
MOVES += ("random_shear", "random_affine")  # of a mask of any dtype too


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint16, np.bool_])
def test_whole_numbers_that_are_no_bytes_are_moved_and_nothing_else(name, dtype):
    if name in MOVES:
        promises.keeps_shape_and_dtype(batched(make(name)), (2, 6, 5, 3), dtype, dtype)
        return
    x = jax.ShapeDtypeStruct((2, 6, 5, 3), dtype)
    with pytest.raises(InputError, match=f"must be uint8 or floating .* got {np.dtype(dtype)}"):
        jax.eval_shape(batched(make(name)), jax.random.key(0), x)


def test_a_fill_is_a_level_and_so_is_none_of_a_mask():
    mask = jax.ShapeDtypeStruct((4, 4, 1), jnp.int32)
    with pytest.raises(InputError, match="must be uint8 or floating"):
        jax.eval_shape(random_rotate(fill=0.5), jax.random.key(0), mask)


def test_of_a_batch(name):
    op = make(name)
    image = images((1, 18, 16, 3))[0]
    a = promises.is_drawn_by_its_key(batched(op), image)
    if name not in POLICIES:  # these deal a batch out, which is no loop; see test_policies
        key = jax.random.split(jax.random.key(0), 16)[3]
        # Of one image a product may be rounded before it is added, which may move a truncation.
        off = np.abs(np.asarray(jax.jit(op)(key, image)).astype(int) - a[3])
        assert off.max() <= 1 and (off > 0).mean() < 1e-2


def test_a_draw_can_be_applied_again():
    op, x = compose(random_crop(2), random_erasing(0.8)), images()
    key = jax.random.key(2)
    draws = jax.jit(op.draw_batch, static_argnums=1)(key, 8)
    once = jax.jit(batched(op))(key, x)
    np.testing.assert_array_equal(jax.jit(op.apply_batch)(draws, x), once)


def test_one_pixel():
    # Those that look at a pixel's place or at its neighbors.
    sized = ("random_affine", "random_translate", "random_autocontrast")
    sized += ("random_equalize", "random_sharpness", "random_erasing", "gaussian_blur")
    op = compose(random_crop(0), cutout(1), *map(make, sized))
    y = jax.jit(op)(jax.random.key(0), images((1, 1, 2), np.float32))
    assert np.isfinite(y).all() and y.min() >= 0 and y.max() <= 1


def test_a_draw_of_one_image_moves_its_mask_along():
    op = compose(random_crop(2), random_flip(1.0))
    image = jnp.repeat(images((6, 5, 1)), 3, axis=-1)
    draw = op.sample(jax.random.key(0))
    mask = op.apply(draw, image[..., :1])
    np.testing.assert_array_equal(op.apply(draw, image), jnp.repeat(mask, 3, axis=-1))


def test_one_draw_for_a_batch():
    x = jnp.broadcast_to(images()[:1], (8, 6, 5, 3))
    y = batched(per_batch(random_crop(2)))(jax.random.key(0), x)
    np.testing.assert_array_equal(y, jnp.broadcast_to(y[:1], y.shape))


def test_views_are_the_clean_images_and_independent_copies():
    x = images()
    y = jax.jit(views(random_crop(2), 2))(jax.random.key(0), x).reshape(3, *x.shape)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y[0], np.asarray(x) / 255, rtol=1e-6)  # float32
    assert (y[1] != y[2]).any() and (y[0] != y[1]).any()


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


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16", "int32", "bool"])
def test_ops_in_a_row_that_move_pixels_move_them_once(dtype, monkeypatch):
    """And to where they come one after another, zeros from outside included."""
    ops = [random_crop(2), random_flip(), random_crop(3, mode="reflect"), random_crop(2)]
    ops += [random_crop(2, mode="edge"), random_rotate(30.0), random_flip(0.9), random_flip(0.5)]
    batch, moves = jax.random.randint(jax.random.key(0), (6, 9, 7, 2), 0, 256).astype(dtype), []
    take = op.take_grid
    monkeypatch.setattr(op, "take_grid", lambda *how: moves.append(len(how)) or take(*how))
    whole = compose(*ops)
    draws = whole.draw_batch(jax.random.key(1), len(batch))
    found = jax.jit(whole.apply_batch)(draws, batch)
    assert len(moves) == 2  # one before the rotation, one after it
    for one, draw in zip(ops, draws, strict=True):
        batch = jax.jit(one.apply_batch)(draw, batch)
    np.testing.assert_array_equal(found, batch)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: random_crop(-1),
        lambda: random_crop(4, mode="wrap"),  # pyright: ignore
        lambda: random_flip(1.5),
        lambda: random_flip(float("nan")),
        lambda: random_rotate(-1.0),
        lambda: random_rotate(interpolation="cubic"),  # pyright: ignore
        lambda: random_zoom(0.9),
        lambda: random_zoom(1e30),
        lambda: random_crop(4)(jax.random.key(0), jnp.zeros((5, 4, 1))),
        lambda: random_posterize(9),
        lambda: random_hue(0.6),
        lambda: cutout(0),
        lambda: cutout()(jax.random.key(0), jnp.zeros((8, 8, 1))),
        lambda: cutout(fill=2.0),
        lambda: random_erasing(min_share=0.5),
        lambda: gaussian_blur(3.0),
        lambda: gaussian_blur(max_sigma=1001.0),
        lambda: gaussian_noise(-0.1),
        lambda: augmix(severity=11.0),
        lambda: augmix(depth=(3, 1)),
        lambda: augmix(depth=(2,)),
        lambda: rand_augment(magnitude=31.0),
        lambda: views(random_flip(), 0),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()
