"""Corruptions: what all of them keep, and each against Pillow, SciPy, a loop or statistics."""

import colorsys
import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augment.patches import patches
from cases import CORRUPTIONS as CASES
from PIL import Image
from scipy import ndimage, stats

from jaxopt_lab.augment import corruptions
from jaxopt_lab.augment.corruptions import CORRUPTIONS
from jaxopt_lab.augment.corruptions._bilinear import bilinear
from jaxopt_lab.augment.corruptions._motion import motion
from jaxopt_lab.augment.corruptions._plasma import plasma
from jaxopt_lab.augment.corruptions._separable import gaussian_matrix

COUNT = 40
KEYLESS = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}
SEVERITIES = [1, 2, 3, 4, 5]


@functools.cache
def compiled(name, severity):
    """One program for each, used by all tests of it that take (COUNT, 32, 32, 3)."""
    return jax.jit(jax.vmap(functools.partial(CORRUPTIONS[name], severity=severity)))


def run(name, severity, images, seed=0):
    keys = jax.random.split(jax.random.key(seed), len(images))
    return np.asarray(compiled(name, severity)(keys, jnp.asarray(images)))


def photographs():
    """Real images, of which the two first are the same."""
    images = patches(COUNT).copy()
    images[1] = images[0]
    return images


def constant(value):
    return np.full((COUNT, 32, 32, 3), value, np.uint8)


def assert_truncated(found, exact):
    """Bytes are the float64 numbers truncated; just below a whole number float32 may go up."""
    lost = exact - found
    assert lost.min() > -2e-3
    assert lost.max() < 1 + 2e-3


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_bytes_in_bytes_out_keyed_and_worse_with_severity(name):
    images = photographs()
    mild, strong = run(name, 1, images), run(name, 5, images)
    for found in (mild, strong):
        assert found.shape == images.shape
        assert found.dtype == np.uint8
    np.testing.assert_array_equal(strong, run(name, 5, images))
    # The same image with keys of its own.
    assert (strong[0] == strong[1]).all() == (name in KEYLESS)
    far = [np.abs(found.astype(float) - images).mean() for found in (mild, strong)]
    assert far[0] > 0.5
    if name != "elastic_transform":  # whose published constants trade the map for the field
        assert far[1] > 1.3 * far[0]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_any_size_and_any_channels(name):
    function = functools.partial(CORRUPTIONS[name], **CASES[name])
    for shape in ((9, 14, 1), (1, 1, 2), (40, 65, 3)):
        found = jax.eval_shape(function, jax.random.key(0), jnp.zeros(shape, jnp.uint8))
        assert (found.shape, found.dtype) == (shape, jnp.uint8)


@pytest.mark.parametrize("name", ["impulse_noise", "pixelate"])
def test_one_image_is_its_row_of_the_batch(name):
    images, keys = jnp.asarray(photographs()), jax.random.split(jax.random.key(0), COUNT)
    alone = CORRUPTIONS[name](keys[3], images[3], severity=5)
    np.testing.assert_array_equal(alone, run(name, 5, images)[3])


@pytest.mark.parametrize(("severity", "scale"), [(1, 0.04), (5, 0.10)])
def test_gaussian_noise_has_its_deviation(severity, scale):
    noise = run("gaussian_noise", severity, constant(128)).astype(float) - 128
    # Truncation takes a half on average; five standard deviations of 122,880 draws.
    assert abs(noise.mean() + 0.5) < 5 * 255 * scale / np.sqrt(noise.size)
    expected = np.hypot(255 * scale, np.sqrt(1 / 12))
    assert abs(noise.std() / expected - 1) < 5 / np.sqrt(2 * noise.size)


@pytest.mark.parametrize("level", [0, 20, 128])
def test_shot_noise_counts_photons(level):
    found = run("shot_noise", 5, constant(level)).ravel()
    counts = np.rint((found + 0.5) * 50 / 255).astype(int) if level else found
    rate = 50 * level / 255
    if level == 0:
        assert (found == 0).all()
        return
    edges = np.arange(stats.poisson.ppf(1e-3, rate), stats.poisson.ppf(1 - 1e-3, rate) + 1)
    observed = np.bincount(np.clip(counts, edges[0], edges[-1]).astype(int))[int(edges[0]) :]
    chance = stats.poisson.pmf(edges, rate)
    chance[0], chance[-1] = stats.poisson.cdf(edges[0], rate), stats.poisson.sf(edges[-2], rate)
    assert stats.chisquare(observed, chance * found.size).pvalue > 1e-3


def test_impulse_noise_is_salt_and_pepper():
    found = run("impulse_noise", 5, constant(100))
    assert set(np.unique(found)) == {0, 100, 255}
    for value in (0, 255):
        # Five standard deviations of a share of 122,880 draws.
        share = (found == value).mean()
        assert abs(share - 0.035) < 5 * np.sqrt(0.035 * 0.965 / found.size)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_defocus_blur_is_a_correlation_with_a_softened_disk(severity):
    radius, alias = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)][severity - 1]
    grid = np.arange(-8, 9)
    disk = ((grid[:, None] ** 2 + grid[None, :] ** 2) <= radius**2).astype(float)
    soft = stats.norm.pdf(np.arange(-1, 2), scale=alias)
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, soft / soft.sum(), axis, mode="mirror")
    images = photographs()[:8]
    kernel = (disk / disk.sum())[None, :, :, None]
    expected = ndimage.correlate(images / 255, kernel, mode="mirror")
    found = run("defocus_blur", severity, images)
    assert_truncated(found, 255 * expected)


def test_glass_blur_is_the_published_loop():
    """On an image that says where each pixel is; at severity 1 nothing is blurred."""
    place = np.stack([*np.mgrid[0:32, 0:32], np.zeros((32, 32), int)], -1)
    found = run("glass_blur", 1, np.broadcast_to(np.uint8(8 * place), (COUNT, 32, 32, 3)))
    moves = place[..., :2] - found[..., :2] // 8
    assert set(np.unique(moves)) == {0, 1}
    assert (moves[:, :2] == 0).all() and (moves[:, :, :2] == 0).all()
    # 72,000 draws of a fair coin, five standard deviations.
    assert abs(moves[:, 2:, 2:].mean() - 0.5) < 5 * 0.5 / np.sqrt(2 * COUNT * 30 * 30)
    x = np.uint8(8 * place)
    for h in range(31, 1, -1):
        for w in range(31, 1, -1):
            up, left = moves[0, h, w]
            # As published: these are views, so the second assignment changes nothing.
            x[h, w], x[h - up, w - left] = x[h - up, w - left], x[h, w]
    np.testing.assert_array_equal(found[0], x)


def test_motion_is_a_sum_along_a_line():
    x = np.random.default_rng(0).random((9, 14, 2))
    weights = np.exp(-(np.arange(13) ** 2) / (2 * 2.0**2))
    weights /= weights.sum()
    blur = jax.jit(functools.partial(motion, radius=6, sigma=2))
    for angle in (-133.0, -45.0, 0.5, 30.0):
        expected = np.zeros_like(x)
        for i, weight in enumerate(weights):
            down = int(np.ceil(i * np.sin(np.deg2rad(angle)) - 0.5))
            right = int(np.ceil(i * np.cos(np.deg2rad(angle)) - 0.5))
            rows = np.clip(np.arange(9) + down, 0, 8)
            columns = np.clip(np.arange(14) + right, 0, 13)
            expected += weight * x[rows][:, columns]
        # Rounded to 256 levels, which half a level covers.
        found = blur(jnp.asarray(x, jnp.float32), angle)
        np.testing.assert_allclose(found, expected, atol=0.5 / 255 + 1e-6)


def test_motion_blur_draws_its_angle_from_a_quarter_turn():
    images = constant(0)
    images[:, 16, 16] = 255
    found = run("motion_blur", 5, images)[..., 0]
    slopes = []
    for image in found:
        rows, columns = np.nonzero(image)
        assert columns.max() == 16  # the line reaches to the right of each pixel that it blurs
        assert (np.abs(rows - 16) <= 16 - columns + 1).all()
        slopes.append(np.polyfit(16 - columns, 16 - rows, 1)[0])
    angles = np.rad2deg(np.arctan(slopes))
    # Whole pixels on a line of about six of them leave the angle a few degrees off.
    assert stats.kstest(angles, stats.uniform(-45, 90).cdf).pvalue > 1e-3
    assert np.abs(angles).max() < 50


@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_blur_is_a_mean_of_zooms(severity):
    images = photographs()[:8]
    factors = np.arange(1, [1.06, 1.11, 1.16, 1.21, 1.26][severity - 1], 0.01)
    expected = images / 255
    for factor in factors:
        inner = int(np.ceil(32 / factor))
        start = (32 - inner) // 2
        cut = images[:, start : start + inner, start : start + inner] / 255
        zoomed = ndimage.zoom(cut, (1, factor, factor, 1), order=1)
        trim = (zoomed.shape[1] - 32) // 2
        expected = expected + zoomed[:, trim : trim + 32, trim : trim + 32]
    assert_truncated(run("zoom_blur", severity, images), 255 * expected / (len(factors) + 1))


def test_snow_on_black_is_its_flakes_and_their_half_turn():
    found = run("snow", 1, constant(0)).astype(float)
    np.testing.assert_array_equal(found, found[:, ::-1, ::-1])
    assert (found == found[..., :1]).all()
    # 0.05 * 0.5 of white, truncated to 6 levels, and twice the mean of N(0.1, 0.2^2) over 0.6.
    z = (0.6 - 0.1) / 0.2
    flakes = 0.1 * stats.norm.sf(z) + 0.2 * stats.norm.pdf(z)
    # Five standard deviations, of 40,960 flakes or none of about 0.7, and a little for rounding.
    deviation = 2 * 255 * 0.7 * np.sqrt(stats.norm.sf(z) / (COUNT * 1024))
    assert abs(found.mean() - (6 + 2 * 255 * flakes)) < 5 * deviation + 0.1


def test_plasma_is_a_diamond_square_fractal():
    """Against a loop over points with NumPy's numbers: the same roughness at every scale."""
    count, decay, size = 200, 1.75, 32
    rng = np.random.default_rng(0)
    expected, step, wobble = np.zeros((count, size, size)), size, 100.0

    def put(i, j, neighbours):
        mean = sum(expected[:, a % size, b % size] for a, b in neighbours) / 4
        expected[:, i, j] = mean + wobble * rng.uniform(-wobble, wobble, count)

    while step > 1:
        h = step // 2
        for i in range(h, size, step):
            for j in range(h, size, step):
                put(i, j, [(i + a, j + b) for a in (-h, h) for b in (-h, h)])
        for i in range(0, size, h):
            for j in range((i + h) % step, size, step):
                put(i, j, [(i - h, j), (i + h, j), (i, j - h), (i, j + h)])
        step, wobble = h, wobble / decay
    expected -= expected.min((1, 2), keepdims=True)
    expected /= expected.max((1, 2), keepdims=True)
    keys = jax.random.split(jax.random.key(0), count)
    found = np.asarray(jax.jit(jax.vmap(lambda key: plasma(key, size, size, decay)))(keys))
    assert abs(found.min()) < 1e-6 and abs(found.max() - 1) < 1e-6
    statistics = [lambda a: a.mean((1, 2)), lambda a: a[:, 0, 0], lambda a: a[:, 5, 8]]
    for lag in (1, 4, 16):
        statistics.append(lambda a, n=lag: np.abs(a[:, n:] - a[:, :-n]).mean((1, 2)))
        statistics.append(lambda a, n=lag: np.abs(a[:, n:, n:] - a[:, :-n, :-n]).mean((1, 2)))
    for top, left in ((0, 1), (1, 0)):  # points of the last level beside the mean of their four

        def beside(x, top=top, left=left):
            four = sum(np.roll(x, shift, axis) for shift in (-1, 1) for axis in (1, 2))
            return np.abs(x - four / 4)[:, top::2, left::2].mean((1, 2))

        statistics.append(beside)
    for statistic in statistics:
        assert stats.ttest_ind(statistic(found), statistic(expected)).pvalue > 1e-4


@pytest.mark.parametrize(("severity", "density"), [(1, 0.2), (5, 1.5)])
def test_fog_on_white_spans_its_range(severity, density):
    found = run("fog", severity, constant(255))
    assert (found == found[..., :1]).all()
    assert (found.max((1, 2, 3)) == 255).all()
    assert (found.min((1, 2, 3)) == int(255 / (1 + density))).all()
    assert (run("fog", severity, constant(0)) == 0).all()  # the largest value stays


def test_frost_keeps_its_shares():
    ice, on_white = run("frost", 5, constant(0)), run("frost", 5, constant(255))
    assert ice.max() == int(0.45 * 255) and ice.min() == 0
    assert on_white.min() == int(0.75 * 255)
    assert (ice[..., 2] >= ice[..., 0]).all()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_raises_the_value_of_hsv(severity):
    more = [0.05, 0.1, 0.15, 0.2, 0.3][severity - 1]
    image = photographs()[5, :8, :8].copy()
    image[0, :3] = [[0, 0, 0], [255, 255, 255], [255, 0, 3]]
    expected = np.zeros(image.shape)
    for i, j in np.ndindex(8, 8):
        h, s, v = colorsys.rgb_to_hsv(*(image[i, j] / 255))
        expected[i, j] = 255 * np.array(colorsys.hsv_to_rgb(h, s, min(v + more, 1)))
    found = corruptions.brightness(jax.random.key(0), jnp.asarray(image), severity=severity)
    assert_truncated(np.asarray(found), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_draws_to_the_mean_of_each_channel(severity):
    factor = [0.75, 0.5, 0.4, 0.3, 0.15][severity - 1]
    images = photographs()
    mean = images.mean((1, 2), keepdims=True)
    assert_truncated(run("contrast", severity, images), mean + factor * (images - mean))


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_bilinear_is_scipys(mode):
    rng = np.random.default_rng(0)
    x, (rows, columns) = rng.random((7, 10, 2)), rng.uniform(-25, 30, (2, 7, 10))
    found = bilinear(*(jnp.asarray(a, jnp.float32) for a in (x, rows, columns)), mode=mode)
    name = {"reflect": "mirror", "symmetric": "reflect"}[mode]  # in SciPy
    for c in range(2):
        expected = ndimage.map_coordinates(x[..., c], [rows, columns], order=1, mode=name)
        # Places up to 30 in float32 are off by 2e-6, and values with them.
        np.testing.assert_allclose(found[..., c], expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.4, 1.92, 6.4])
@pytest.mark.parametrize("mode", ["edge", "symmetric"])
def test_gaussian_matrix_is_scipys_filter(sigma, mode):
    x = np.random.default_rng(0).random(12)
    name = {"edge": "nearest", "symmetric": "reflect"}[mode]
    expected = ndimage.gaussian_filter1d(x, sigma, mode=name, truncate=3)
    found = gaussian_matrix(12, sigma, mode=mode, truncate=3) @ x
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_elastic_transform_moves_three_corners_uniformly():
    """At severity 1 there is no field: an image of places shows the affine map."""
    place = np.stack([*np.mgrid[0:32, 0:32], np.zeros((32, 32), int)], -1)
    found = run("elastic_transform", 1, np.broadcast_to(np.uint8(8 * place), (COUNT, 32, 32, 3)))
    inner = np.s_[10:23, 10:23]
    target = np.concatenate([place[inner][..., :2], np.ones((13, 13, 1))], -1).reshape(-1, 3)
    corners = np.array([[26, 26], [6, 26], [6, 6]])
    moves = []
    for image in found:
        source = (image[inner][..., :2].reshape(-1, 2) + 0.5) / 8  # truncated to eighths
        fitted, *_ = np.linalg.lstsq(target, source, rcond=None)
        assert np.abs(target @ fitted - source).max() < 0.1
        moves.append((corners - fitted[2]) @ np.linalg.inv(fitted[:2]) - corners)
    moves = np.array(moves) / (0.08 * 32)
    # Fits to eighths of a pixel leave the moves off by a hundredth or two.
    assert np.abs(moves).max() < 1.03
    assert stats.kstest(moves.ravel(), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    correlation = np.corrcoef(moves.reshape(COUNT, 6).T) - np.eye(6)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(COUNT)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(32, 32, 3), (19, 26, 1)])
def test_pixelate_is_pillows_to_the_bit(severity, shape):
    scale = [0.95, 0.9, 0.85, 0.75, 0.65][severity - 1]
    height, width, channels = shape
    images = photographs()[:, :height, :width, :channels]
    small = int(width * scale), int(height * scale)
    expected = [
        Image.fromarray(np.squeeze(x))
        .resize(small, Image.Resampling.BOX)
        .resize((width, height), Image.Resampling.BOX)
        for x in images
    ]
    found = run("pixelate", severity, images)
    np.testing.assert_array_equal(found, np.stack(expected).reshape(found.shape))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(32, 32, 3), (19, 27, 3), (20, 26, 1)])
def test_jpeg_compression_is_pillows(severity, shape):
    quality = [80, 65, 58, 50, 40][severity - 1]
    height, width, channels = shape
    images = photographs()[:, :height, :width, :channels]
    expected = []
    for x in images:
        file = io.BytesIO()
        Image.fromarray(np.squeeze(x)).save(file, "JPEG", quality=quality)
        expected.append(np.asarray(Image.open(file), int))
    found = run("jpeg_compression", severity, images)
    difference = np.abs(found.astype(int) - np.stack(expected).reshape(found.shape))
    # libjpeg's cosine transform rounds within; where one coefficient of a block falls to the other
    # side of a half, the block differs by a wave.
    assert (difference == 0).mean() > 0.93
    assert difference.mean() < 0.12


@pytest.mark.parametrize(
    ("image", "severity", "message"),
    [
        (jnp.zeros((4, 4, 3)), 1, "one .H, W, C. uint8 image, got .4, 4, 3. float32"),
        (jnp.zeros((2, 4, 4, 3), jnp.uint8), 1, "through jax.vmap"),
        (jnp.zeros((4, 4, 3), jnp.uint8), 6, "severity must be 1 or 2 or 3 or 4 or 5, got 6"),
    ],
)
def test_wrong_input(image, severity, message):
    with pytest.raises(ValueError, match=message):
        corruptions.contrast(jax.random.key(0), image, severity=severity)
