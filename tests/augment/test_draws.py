"""What is drawn has the distribution that the docstring says, and does what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augment.patches import patches
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from jaxopt_lab import augment
from jaxopt_lab.augment import batched

N = 4000
KEYS = jax.random.split(jax.random.key(0), N)


def uniform(low, high):
    return lambda x: kstest(x, "uniform", (low, high - low)).pvalue


def log_uniform(most):
    return lambda x: uniform(-np.log(most), np.log(most))(np.log(x))


CONTINUOUS = {
    "random_rotate": ({"max_angle": 20.0}, uniform(-20, 20)),
    "random_translate": ({"max_share": 0.3}, uniform(-0.3, 0.3)),
    "random_zoom": ({"max_factor": 1.5}, log_uniform(1.5)),
    "random_shear": ({"max_slope": 0.4}, uniform(-0.4, 0.4)),
    "random_gamma": ({"max_exponent": 2.0}, log_uniform(2.0)),
    "random_brightness": ({"max_change": 0.3}, uniform(0.7, 1.3)),
    "random_contrast": ({"max_change": 0.3}, uniform(0.7, 1.3)),
    "random_saturation": ({"max_change": 0.3}, uniform(0.7, 1.3)),
    "random_sharpness": ({"max_change": 0.3}, uniform(0.7, 1.3)),
    "random_hue": ({"max_turn": 0.2}, uniform(-0.2, 0.2)),
    "gaussian_blur": ({"min_sigma": 0.5, "max_sigma": 1.5}, uniform(0.5, 1.5)),
    "cutout": ({}, uniform(0, 1)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_draws(name):
    arguments, p_value = CONTINUOUS[name]
    draws = np.asarray(jax.vmap(getattr(augment, name)(**arguments).sample)(KEYS)).reshape(N, -1)
    for column in draws.T:  # a right distribution fails once in 1,000, and the seed is fixed
        assert p_value(column) > 1e-3
    if draws.shape[1] > 1:
        assert abs(np.corrcoef(draws.T)[0, 1]) < 5 / np.sqrt(N)


def test_affine_draws_are_independent_and_uniform():
    op = augment.random_affine(20.0, 0.3, 1.5, 0.4)
    draws = np.asarray(jax.vmap(op.sample)(KEYS))
    for column, most in zip(draws.T, (20, 0.3, 0.3, np.log(1.5), 0.4), strict=True):
        assert uniform(-most, most)(column) > 1e-3
    assert np.abs(np.corrcoef(draws.T) - np.eye(5)).max() < 5 / np.sqrt(N)


@pytest.mark.parametrize(
    "name",
    [f"random_{n}" for n in ["autocontrast", "equalize", "invert", "posterize", "solarize"]]
    + ["random_grayscale"],
)
def test_with_a_probability(name):
    op, x = getattr(augment, name)(probability=0.3), patches()[0]
    chosen = np.asarray(jax.vmap(op.sample)(KEYS))
    assert abs(chosen.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / N)
    f = getattr(augment, name.removeprefix("random_"))
    given = {"random_posterize": (4,), "random_solarize": (128,)}.get(name, ())
    np.testing.assert_array_equal(op.apply(jnp.array(True), x), f(x, *given))
    np.testing.assert_array_equal(op.apply(jnp.array(False), x), x)


def test_random_affine_of_one_part_is_that_part():
    x = jnp.asarray(patches()[0])
    turned = augment.random_affine(45.0, 0.0, 1.0, 0.0)
    angle = turned.sample(KEYS[0])[0]
    np.testing.assert_array_equal(turned(KEYS[0], x), augment.rotate(x, angle))
    moved = augment.random_affine(0.0, 0.5, 1.0, 0.0)
    draw = jnp.array([0.0, 3 / 32, -5 / 32, 0.0, 0.0])  # whole pixels of 32
    np.testing.assert_array_equal(moved.apply(draw, x), augment.translate(x, 3, -5))


def test_zoom_enlarges():
    x = jnp.zeros((9, 9, 1)).at[3:6, 3:6].set(1.0)
    op = augment.random_zoom(3.0, interpolation="nearest")
    np.testing.assert_array_equal(op.apply(3.0, x), jnp.ones((9, 9, 1)))
    assert op.apply(1 / 3, x).sum() == 1


@pytest.mark.parametrize("fill", [0.5, None])
def test_cutout_is_a_clipped_square_around_a_uniform_pixel(fill):
    x, length = patches()[:1, :10, :12], 4
    op = augment.cutout(length, fill=fill)
    y = np.asarray(jax.jit(batched(op))(jax.random.key(0), np.repeat(x, N, 0)))
    centers = np.floor(np.asarray(op.draw_batch(jax.random.key(0), N)) * [10, 12]).astype(int)
    blank = np.round(x[0].mean((0, 1))) if fill is None else 128
    for i in range(200):
        expected = x[0].copy()
        top, left = np.maximum(centers[i] - 2, 0)
        expected[top : centers[i, 0] + 2, left : centers[i, 1] + 2] = blank
        np.testing.assert_array_equal(y[i], expected)
    # The border clips wherever the center is nearer than its half: rows 0, 1, 9 and so the columns.
    clipped = ~((centers[:, 0] >= 2) & (centers[:, 0] <= 8) & (centers[:, 1] >= 2))
    clipped |= centers[:, 1] > 10
    share = 1 - (7 / 10) * (9 / 12)
    assert abs(clipped.mean() - share) < 5 * np.sqrt(share * (1 - share) / N)


def test_random_erasing_is_a_box_inside_of_the_drawn_area():
    op = augment.random_erasing(0.6, 0.1, 0.3, 2.0, fill=1.0)
    y = np.asarray(jax.jit(batched(op))(jax.random.key(0), jnp.zeros((N, 30, 20, 1))))[..., 0]
    draws = op.draw_batch(jax.random.key(0), N)
    draws = {k: np.asarray(draws[k]) for k in ("erase", "share", "aspect")}
    erased = y.any((1, 2))
    np.testing.assert_array_equal(erased, draws["erase"])
    assert abs(erased.mean() - 0.6) < 5 * np.sqrt(0.6 * 0.4 / N)
    assert uniform(0.1, 0.3)(draws["share"]) > 1e-3
    assert log_uniform(2.0)(draws["aspect"]) > 1e-3
    y, share, aspect = y[erased], draws["share"][erased], draws["aspect"][erased]
    height, width = y.any(2).sum(1), y.any(1).sum(1)
    np.testing.assert_array_equal(y.sum((1, 2)), height * width)  # a box, and whole
    # Each side is rounded.
    assert np.abs(height - np.sqrt(share * aspect * 600)).max() <= 0.5 + 1e-3
    assert np.abs(width - np.minimum(np.sqrt(share / aspect * 600), 20)).max() <= 0.5 + 1e-3
    top = y.any(2).argmax(1) / (30 - height + 1)
    assert abs(top.mean() - np.mean((30 - height) / 2 / (30 - height + 1))) < 5 * 0.29 / np.sqrt(N)


def test_random_erasing_fills_with_noise():
    op = augment.random_erasing(1.0, 0.9, 1.0, 1.0)
    y = np.asarray(op(jax.random.key(0), jnp.full((64, 64, 3), -1.0)))
    assert uniform(0, 1)(y[y >= 0][::3]) > 1e-3


def test_gaussian_noise_is_normal_clipped_and_apart_in_each_pixel():
    op = augment.gaussian_noise(0.1)
    y = np.asarray(op(jax.random.key(0), jnp.full((100, 40, 1), 0.5)))
    assert kstest(y.ravel(), "norm", (0.5, 0.1)).pvalue > 1e-3
    dark = np.asarray(op(jax.random.key(0), jnp.zeros((100, 40, 1))))
    assert dark.min() == 0
    assert abs((dark == 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(N)


@pytest.mark.parametrize(("sigma", "most"), [(0.5, 2.0), (1.3, 2.0), (2.0, 2.0), (30.0, 1000.0)])
def test_gaussian_blur_equals_scipy(sigma, most):
    x = np.float32(patches()[0, :20]) / 255
    ours = augment.gaussian_blur(0.1, most).apply(jnp.float32(sigma), jnp.asarray(x))
    theirs = gaussian_filter(x.astype(float), (sigma, sigma, 0), mode="nearest", truncate=4)
    # Weights and sums of float32.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
