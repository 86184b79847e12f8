"""Mixup and CutMix: what every mixer keeps, and each against a NumPy loop on what it drew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import MIXERS as CASES

from jaxopt_lab.augment import MIXERS, cutmix, mixup


@pytest.fixture(params=MIXERS, name="mix")
def _mix(request):
    return MIXERS[request.param](**CASES[request.param])


def make_batch(shape=(8, 6, 5, 3), dtype=np.uint8, classes=4):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, shape).astype(np.uint8)
    image = jnp.asarray(x) if dtype == np.uint8 else jnp.asarray(x / 255, dtype)
    label = jax.nn.one_hot(jnp.asarray(rng.integers(0, classes, shape[0])), classes)
    return {"x": image, "y": label}


def identified(shape):
    """A batch whose pixels and labels both say which sample they came from."""
    size = shape[0]
    pixel = jnp.arange(size, dtype=jnp.float32) / size
    image = jnp.broadcast_to(pixel[:, None, None, None], shape)
    return {"x": image, "y": jnp.eye(size)}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", [(8, 6, 5, 3), (1, 4, 7, 1), (3, 1, 1, 2)])
def test_float_images_and_distributions_come_out(mix, shape, dtype):
    batch = make_batch(shape, dtype)
    batch["index"] = jnp.arange(shape[0])
    mixed = mix(jax.random.key(0), batch)
    assert set(mixed) == set(batch)
    assert mixed["index"] is batch["index"]
    for name in ("x", "y"):
        assert mixed[name].shape == batch[name].shape
        assert mixed[name].dtype == jnp.float32
        assert mixed[name].min() >= 0
        assert mixed[name].max() <= 1
    # Two products and a sum in float32.
    np.testing.assert_allclose(mixed["y"].sum(1), 1, atol=3e-7)
    if shape[0] == 1:  # its only partner is itself
        expected = np.asarray(batch["x"], np.float32) / (255 if dtype == np.uint8 else 1)
        np.testing.assert_allclose(mixed["x"], expected, atol=1e-7)


def test_jitted_and_vmapped_equal_eager(mix):
    batch, keys = make_batch(), jax.random.split(jax.random.key(1), 3)
    one_by_one = [mix(key, batch) for key in keys]
    jitted, vmapped = jax.jit(mix), jax.jit(jax.vmap(mix, (0, None)))(keys, batch)
    for i, expected in enumerate(one_by_one):
        once = jitted(keys[i], batch)
        for name in batch:
            # A fused multiply-add rounds once where the eager form rounds twice.
            np.testing.assert_allclose(once[name], expected[name], atol=1e-7)
            np.testing.assert_allclose(vmapped[name][i], expected[name], atol=1e-7)
    assert jitted._cache_size() == 1


def test_determined_by_the_key(mix):
    batch = make_batch()
    a, b, c = (mix(jax.random.key(k), batch)["x"] for k in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.parametrize("per_sample", [False, True])
def test_mixup_blends_pixels_as_labels_with_a_permutation(per_sample):
    size = 16
    batch = identified((size, 3, 4, 1))
    batch["x"] = jnp.asarray(np.random.default_rng(0).random((size, 3, 4, 1), np.float32))
    mixed = jax.tree.map(np.asarray, mixup(0.7, per_sample=per_sample)(jax.random.key(3), batch))
    label = mixed["y"]
    partner = [(row - np.eye(size)[i] * row[i]).argmax() for i, row in enumerate(label)]
    partner = [i if label[i, i] > 1 - 1e-6 else j for i, j in enumerate(partner)]
    assert sorted(partner) == list(range(size))
    weight = np.array([label[i, i] for i in range(size) if partner[i] != i])
    assert (np.ptp(weight) > 0.1) == per_sample
    for i, j in enumerate(partner):
        lam = label[i, i]
        x, y = (np.asarray(batch["x"][k], np.float64) for k in (i, j))
        # float32 against float64 of numbers up to 1.
        np.testing.assert_allclose(mixed["x"][i], lam * x + (1 - lam) * y, atol=3e-7)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_lambda_is_beta_distributed(alpha):
    """Through the label of sample 0, over the many batches in which its partner is another."""
    from scipy.stats import beta, kstest

    batch = identified((2, 1, 1, 1))
    keys = jax.random.split(jax.random.key(0), 4000)
    mix = mixup(alpha)
    mixed = jax.jit(jax.vmap(lambda k: mix(k, batch)))(keys)
    label, pixel = np.asarray(mixed["y"])[:, 0], np.asarray(mixed["x"])[:, 0, 0, 0, 0]
    np.testing.assert_allclose(pixel, 0.5 * label[:, 1], atol=1e-7)
    apart = label[:, 1] > 0
    # Half of the permutations of two are the identity; five standard deviations of 4,000 draws.
    # With a small alpha lambda may round to 1 too, which looks the same.
    assert abs(apart.mean() - 0.5) < 5 * np.sqrt(0.25 / 4000) + (0.03 if alpha < 1 else 0)
    assert kstest(label[apart, 0], beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("shape", [(12, 9, 14, 1), (12, 32, 32, 3)])
def test_cutmix_pastes_a_box_and_its_exact_area(per_sample, shape):
    size, height, width = shape[:3]
    batch = identified(shape)
    mix = jax.jit(cutmix(per_sample=per_sample))
    boxes = set()
    for k in range(6):
        mixed = jax.tree.map(np.asarray, mix(jax.random.key(k), batch))
        source = np.rint(mixed["x"] * size).astype(int)
        assert (source == source[..., :1]).all()  # channels move together
        partners = []
        for i in range(size):
            pasted = source[i, :, :, 0] != i
            others = np.unique(source[i, :, :, 0][pasted])
            assert len(others) <= 1
            if not pasted.any():
                assert mixed["y"][i, i] == 1
                continue
            partners.append(int(others[0]))
            rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
            top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
            assert pasted[top:bottom, left:right].all()
            assert pasted.sum() == (bottom - top) * (right - left)
            boxes.add((top, bottom, left, right))
            area = pasted.sum() / (height * width)
            # Exact for a power of two of pixels; else XLA multiplies by a rounded reciprocal.
            rounding = 0 if shape[1] == 32 else 1.2e-7
            assert abs(mixed["y"][i, others[0]] - area) <= rounding
            assert abs(mixed["y"][i, i] - (1 - area)) <= rounding
        assert len(set(partners)) == len(partners)
    assert len(boxes) > 6 if per_sample else len(boxes) <= 6


def test_cutmix_boxes_are_clipped_as_often_as_theory_says():
    """Rows and columns of the box, by the definition summed over lambda and the center."""
    height, width, count = 8, 20, 20_000
    batch = identified((2, height, width, 1))
    swap = jax.vmap(lambda k: cutmix()(k, batch)["x"][0, :, :, 0])
    pasted = np.asarray(jax.jit(swap)(jax.random.split(jax.random.key(0), count))) > 0
    shares = (np.arange(200_000) + 0.5) / 200_000  # lambda of Beta(1, 1)
    for length, axis in ((height, 2), (width, 1)):
        side = np.floor(length * np.sqrt(1 - shares)).astype(int)
        covered, touches = np.zeros(length + 1), np.zeros(2)
        other = width if length == height else height
        seen = np.floor(other * np.sqrt(1 - shares)) >= 1  # else the box is empty
        for s in range(1, length + 1):
            chance = ((side == s) & seen).mean() / length / 2  # half of the partners are another
            for center in range(length):
                low = max(0, center - s // 2)
                high = min(length, center - s // 2 + s)
                covered[high - low] += chance
                touches += chance * np.array([low == 0, high == length])
        marked = pasted.any(axis)
        found = np.bincount(marked.sum(1), minlength=length + 1) / count
        # Five standard deviations of a share of 20,000 draws, at most 0.5 / sqrt(20,000).
        np.testing.assert_allclose(found[1:], covered[1:], atol=5 * 0.5 / np.sqrt(count))
        ends = marked[:, [0, -1]].mean(0)
        np.testing.assert_allclose(ends, touches, atol=5 * 0.5 / np.sqrt(count))


def test_cutmix_mixes_with_its_probability():
    batch = identified((400, 8, 8, 1))
    label = cutmix(per_sample=True, probability=0.3)(jax.random.key(0), batch)["y"]
    mixed = (label.diagonal() < 1).mean()
    # Boxes under one pixel do not show: sides below 1/8 have a probability of 1/64.
    expected = 0.3 * (1 - 1 / 64) * (1 - 1 / 400)
    assert abs(mixed - expected) < 5 * np.sqrt(0.3 * 0.7 / 400)
    never = cutmix(probability=0.0)(jax.random.key(0), batch)
    np.testing.assert_array_equal(never["x"], batch["x"])
    np.testing.assert_array_equal(never["y"], batch["y"])


def test_integer_labels_name_the_remedy(mix):
    batch = make_batch() | {"y": jnp.arange(8)}
    with pytest.raises(ValueError, match=r"\(8,\) int32 cannot be mixed.*one_hot"):
        mix(jax.random.key(0), batch)


@pytest.mark.parametrize(
    "wrong", [lambda: mixup(0), lambda: cutmix(-1.0), lambda: cutmix(probability=1.5)]
)
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()
