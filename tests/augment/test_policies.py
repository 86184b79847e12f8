"""AugMix, RandAugment and TrivialAugment: what they draw, and against Pillow done by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augment.patches import patches
from PIL import Image, ImageEnhance, ImageOps
from scipy.stats import kstest

from jaxopt_lab.augment import augmix, rand_augment, trivial_augment
from jaxopt_lab.augment.wide_operations import wide_operations

KEY = jax.random.key(0)


def drawn(op, n):
    return jax.jit(op.draw_batch, static_argnums=1)(KEY, n)


def moved(image, *data):
    return image.transform(image.size, Image.Transform.AFFINE, data, resample=Image.BILINEAR)


# t is the signed strength, of 1 in AugMix and of 30 in the others.
AUGMIX = (
    lambda im, t: ImageOps.autocontrast(im),
    lambda im, t: ImageOps.equalize(im),
    lambda im, t: ImageOps.posterize(im, 4 - int(4 * abs(t))),
    lambda im, t: im.rotate(int(30 * t), resample=Image.BILINEAR),
    lambda im, t: ImageOps.solarize(im, 256 - int(256 * abs(t))),
    lambda im, t: moved(im, 1, 0.3 * t, 0, 0, 1, 0),
    lambda im, t: moved(im, 1, 0, 0, 0.3 * t, 1, 0),
    lambda im, t: moved(im, 1, 0, int(32 / 3 * t), 0, 1, 0),
    lambda im, t: moved(im, 1, 0, 0, 0, 1, int(32 / 3 * t)),
)


def wide(slope, pixels, angle, change, bits):
    enhance = lambda how: lambda im, t: how(im).enhance(1 + change * t / 30)  # noqa: E731
    return (
        lambda im, t: im,
        lambda im, t: moved(im, 1, slope * t / 30, 0, 0, 1, 0),
        lambda im, t: moved(im, 1, 0, 0, slope * t / 30, 1, 0),
        lambda im, t: moved(im, 1, 0, int(pixels * t / 30), 0, 1, 0),
        lambda im, t: moved(im, 1, 0, 0, 0, 1, int(pixels * t / 30)),
        lambda im, t: im.rotate(angle * t / 30, resample=Image.BILINEAR),
        enhance(ImageEnhance.Brightness),
        enhance(ImageEnhance.Color),
        enhance(ImageEnhance.Contrast),
        enhance(ImageEnhance.Sharpness),
        lambda im, t: ImageOps.posterize(im, 8 - round(bits * abs(t) / 30)),
        lambda im, t: ImageOps.solarize(im, 255 - 255 * abs(t) / 30),
        lambda im, t: ImageOps.autocontrast(im),
        lambda im, t: ImageOps.equalize(im),
    )


def mixed_by_hand(image, chains, weights, blend):
    """The chains, lists of (operation, strength), in Pillow; the mixture in float64."""
    mixture = np.zeros(image.shape)
    for chain, weight in zip(chains, weights, strict=True):
        x = Image.fromarray(image)
        for which, strength in chain:
            x = AUGMIX[which](x, float(strength))
        mixture += weight * (np.asarray(x) / 255)
    return (1 - blend) * (image / 255) + blend * mixture


def assert_nearly_all_equal(ours, theirs):
    # A byte that is off by 1 in float32 may be stretched by a later operation, or be one of few in
    # a mean of chains; the rest is the rounding of a sum in [0, 1].
    assert (np.abs(np.asarray(ours) - theirs) > 1e-6).mean() < 5e-4


def test_augmix_of_a_batch_equals_pillow_by_hand():
    n, width = 299, 2  # 598 chains, neither 3 depths nor 9 operations divide that
    op, x = augmix(width, severity=9.0), patches()[:n]
    draws = drawn(op, n)
    place, steps, (weights, blends) = jax.tree.map(np.asarray, draws)
    depth = 3 - place // 200

    def chain(seat, depth):
        return [(which[seat] // -(-len(which) // 9), how[seat]) for which, how in steps[:depth]]

    chains = [chain(seat, d) for seat, d in zip(place, depth, strict=True)]
    theirs = [
        mixed_by_hand(image, chains[width * b : width * b + width], weights[b], blends[b])
        for b, image in enumerate(x)
    ]
    assert_nearly_all_equal(jax.jit(op.apply_batch)(draws, x), theirs)


def test_augmix_drawn_independently_equals_pillow_by_hand():
    op, x = augmix(2, (2, 3), severity=9.0, exact_iid=True), patches()[:60]
    draws = drawn(op, len(x))
    steps, (weights, blends) = jax.tree.map(np.asarray, draws)
    assert set(steps["on"].sum(-1).ravel()) == {2, 3}
    theirs = []
    for b, image in enumerate(x):
        which, how, on = (steps[k][b] for k in ("which", "strength", "on"))
        chains = [zip(which[i][on[i]], how[i][on[i]], strict=True) for i in range(2)]
        theirs.append(mixed_by_hand(image, chains, weights[b], blends[b]))
    assert_nearly_all_equal(jax.jit(op.apply_batch)(draws, x), np.stack(theirs))


def test_augmix_draws():
    n = 2000
    place, steps, (weights, blends) = jax.tree.map(np.asarray, drawn(augmix(), n))
    np.testing.assert_array_equal(np.sort(place), np.arange(3 * n))  # a permutation
    assert [len(which) for which, _ in steps] == [6000, 4000, 2000]  # each depth a third
    for _, strength in steps:
        assert kstest(np.abs(strength), "uniform", (0.01, 0.29)).pvalue > 1e-3
        assert abs((strength > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(len(strength))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)  # a sum of three
    assert kstest(weights[:, 0], "beta", (1, 2)).pvalue > 1e-3
    assert kstest(blends, "uniform").pvalue > 1e-3
    _, _, (weights, blends) = jax.tree.map(np.asarray, drawn(augmix(2, (1, 1), alpha=0.5), 500))
    assert kstest(weights[:, 0], "beta", (0.5, 0.5)).pvalue > 1e-3
    assert kstest(blends, "beta", (0.5, 0.5)).pvalue > 1e-3


POLICIES = {
    "rand_augment": (rand_augment(1, 11.71), wide(0.3, 32 * 150 / 331, 30.0, 0.9, 4)),
    "trivial_augment, independent": (
        trivial_augment(exact_iid=True),
        wide(0.99, 32.0, 135.0, 0.99, 6),
    ),
    "trivial_augment": (trivial_augment(), wide(0.99, 32.0, 135.0, 0.99, 6)),
}


@pytest.mark.parametrize("name", POLICIES)
def test_policy_equals_pillow_by_hand(name):
    op, operations = POLICIES[name]
    x = patches()
    draws = drawn(op, len(x))
    if name == "trivial_augment":  # in floats, which are taken in 256 levels
        floats = jax.jit(op.apply_batch)(draws, np.float32(x) / 255)
        ours = np.round(255 * np.asarray(floats)).astype(int)
    else:
        ours = np.asarray(jax.jit(op.apply_batch)(draws, x)).astype(int)
    which, strength = map(np.asarray, jax.tree.leaves(draws))
    if "independent" not in name:
        which = which // -(-len(x) // 14)
    theirs = np.stack(
        [
            operations[k](Image.fromarray(p), float(t))
            for k, p, t in zip(which, x, strength, strict=True)
        ]
    )
    off = np.abs(ours - theirs)
    assert off.max() <= 1
    # A factor of brightness to sharpness may differ in its last bit, and then the truncation of
    # what is nearly whole in it; geometry as in float32; the rest is equal.
    factors = (which >= 6) & (which <= 9)
    assert (off[factors] > 0).mean() < 1e-2
    assert (off[~factors] > 0).mean() < 1e-4


@pytest.mark.parametrize("policy", [rand_augment(1, 0.0), rand_augment(1, 0.0, exact_iid=True)])
def test_a_strength_of_zero_changes_nothing_but_the_two_that_have_none(policy):
    # Every level from 0 to 255 is there, so that autocontrast and equalize change nothing either.
    x = np.random.default_rng(0).permuted(
        np.tile(np.arange(256, dtype=np.uint8), (28, 3, 1)), axis=-1
    )
    x = x.reshape(28, 3, 16, 16).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(jax.jit(policy.apply_batch)(drawn(policy, 28), x), x)


@pytest.mark.parametrize("magnitude", [9.0, 3.0, 10.0])
def test_rand_augment_of_round_strengths_equals_pillow_to_the_bit_in_double(magnitude, x64):
    geometry, by_hand = (
        wide_operations(slope=0.3, pixels=None, angle=30.0, change=0.9, bits=4)[1:6],
        wide(0.3, 32 * 150 / 331, 30.0, 0.9, 4)[1:6],
    )
    x = patches()[:6]
    for sign in (1, -1):
        m = jnp.asarray(sign * magnitude)
        ours = jax.jit(lambda x, m: [jax.vmap(f, (0, None))(x, m) for f in geometry])(x, m)
        theirs = [[np.asarray(f(Image.fromarray(p), float(m))) for p in x] for f in by_hand]
        np.testing.assert_array_equal(ours, theirs)


def test_trivial_augment_strengths():
    _, strength = drawn(trivial_augment(), 6200)
    bins = np.abs(np.asarray(strength)).astype(int)
    # Of 6,200 each of 31 comes 200 times, give or take 14.
    assert np.abs(np.bincount(bins, minlength=31) - 200).max() < 5 * 14


@pytest.mark.parametrize("n", [1, 5, 20])
def test_dealt_operations_are_uniform_for_each_image_and_drawn_without_replacement(n):
    op, runs = rand_augment(1), 3000
    keys = jax.random.split(KEY, runs)
    ((place, _),) = jax.jit(jax.vmap(lambda key: op.draw_batch(key, n)))(keys)
    run = -(-n // 14)
    which = np.asarray(place) // run
    for i in {0, n - 1}:
        counts = np.bincount(which[:, i], minlength=14)
        assert np.abs(counts - runs / 14).max() < 5 * np.sqrt(runs / 14)
    assert max(np.bincount(row).max() for row in which) <= run
    if n > 1:
        same, expected = (which[:, 0] == which[:, 1]).mean(), (run - 1) / (14 * run - 1)
        assert abs(same - expected) < 5 * np.sqrt(expected / runs) + 1e-9


def test_layers_draw_apart():
    (a, _), (b, _) = drawn(rand_augment(2), 64)
    assert (a != b).any()
