"""FGSM and PGD: the ball, the direction, and a float64 NumPy loop where gradients are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ATTACKS as CASES

from jaxopt_lab.augment import ATTACKS, fgsm, pgd
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.losses import softmax_cross_entropy

EPSILON = 8 / 255
SHAPE = (6, 5, 4, 3)


@pytest.fixture(params=ATTACKS, name="attack")
def _attack(request):
    return ATTACKS[request.param](**CASES[request.param])


def make_batch(dtype=np.uint8):
    x = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    image = jnp.asarray(x) if dtype == np.uint8 else jnp.asarray(x / 255, dtype)
    return {"x": image, "y": jnp.arange(SHAPE[0]) % 3}


def network(batch, seed=0):
    """A small smooth network's loss, (B,), whose gradient turns within the ball."""
    w, v = (
        jnp.asarray(np.random.default_rng(seed).normal(size=s), jnp.float32)
        for s in ((60, 16), (16, 3))
    )

    def loss_fn(images):
        hidden = jnp.tanh(images.reshape(len(images), -1) @ w)
        return softmax_cross_entropy(hidden @ v, batch["y"])

    return loss_fn


def unit(image):
    return np.asarray(image, np.float32) / (255 if image.dtype == jnp.uint8 else 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16])
def test_stays_in_the_ball_and_the_range_and_raises_every_loss(attack, dtype):
    batch = make_batch(dtype)
    loss_fn = network(batch)
    found = attack(jax.random.key(0), batch, loss_fn)
    assert found["y"] is batch["y"]
    assert found["x"].dtype == jnp.float32
    clean = unit(batch["x"])
    distance = np.abs(found["x"] - clean).max((1, 2, 3))
    # Adding to a pixel of at most 1 rounds by 6e-8.
    assert (distance <= EPSILON + 1e-7).all()
    assert (distance > 0).all()
    assert found["x"].min() >= 0 and found["x"].max() <= 1
    assert (loss_fn(found["x"]) > loss_fn(jnp.asarray(clean))).all()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.array([[3.0, -2.0]], np.float32), r"in \[0, 1\], got values from -2 to 3"),
        (np.full((1, 2, 2, 1), 200, np.int32), "must be uint8 or floating .* got int32"),
    ],
)
def test_what_is_no_image_is_refused(attack, x, text):
    with pytest.raises(InputError, match=text):
        attack(jax.random.key(0), {"x": jnp.asarray(x), "y": jnp.zeros(1)}, lambda x: x.sum())


def test_fgsm_moves_by_the_sign_of_a_known_gradient():
    batch = make_batch(np.float32)
    w = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    w[:, 0] = 0  # no gradient: no move
    found = fgsm(EPSILON)(jax.random.key(0), batch, lambda x: (x * w).sum((1, 2, 3)))
    expected = np.clip(np.asarray(batch["x"], np.float64) + EPSILON * np.sign(w), 0, 1)
    np.testing.assert_allclose(found["x"], expected, atol=1e-7)
    np.testing.assert_array_equal(found["x"][:, 0], batch["x"][:, 0])


@pytest.mark.parametrize("steps", [1, 7, 12])  # written out, and in a loop
def test_pgd_is_its_loop(steps):
    batch = make_batch(np.float32)
    x0 = np.asarray(batch["x"], np.float64)
    center = np.random.default_rng(2).uniform(-0.02, 0.02, SHAPE) + x0

    def loss_fn(x):  # a hill inside the ball: steps overshoot its top and turn
        return -(((x - center.astype(np.float32)) * 10) ** 2).sum((1, 2, 3))

    x = x0
    for _ in range(steps):
        x = np.clip(x + 0.013 * np.sign(center - x), x0 - EPSILON, x0 + EPSILON)
        x = np.clip(x, 0, 1)
    attack = pgd(EPSILON, 0.013, steps, random_start=False)
    found = jax.jit(lambda k, b: attack(k, b, loss_fn))(jax.random.key(0), batch)
    # Sums of a dozen float32 steps.
    np.testing.assert_allclose(found["x"], x, atol=1e-6)


def test_pgd_starts_uniformly_in_the_ball():
    batch = {"x": jnp.full((1, 100, 100, 1), 0.5)}
    found = pgd(EPSILON, steps=1)(jax.random.key(0), batch, lambda x: 0 * x.sum((1, 2, 3)))
    start = (np.asarray(found["x"]).ravel() - 0.5) / EPSILON
    # 10,000 uniforms on [-1, 1]: five standard deviations of their mean and of their square's.
    assert abs(start.mean()) < 5 * np.sqrt(1 / 3 / 1e4)
    assert abs((start**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / 1e4)
    assert np.abs(start).max() <= 1 + 1e-5


def test_pgd_is_stronger_than_fgsm():
    batch = make_batch()
    loss_fn = network(batch)
    loss = {
        name: loss_fn(attack(jax.random.key(0), batch, loss_fn)["x"]).mean()
        for name, attack in {"fgsm": fgsm(EPSILON), "pgd": pgd(EPSILON, steps=20)}.items()
    }
    assert loss["pgd"] > loss["fgsm"]


def test_the_mean_and_the_losses_of_samples_give_the_same_and_samples_are_independent(attack):
    batch, key = make_batch(), jax.random.key(3)
    loss_fn = network(batch)
    each = attack(key, batch, loss_fn)["x"]
    mean = attack(key, batch, lambda x: loss_fn(x).mean())["x"]
    # Only the sign of the gradient counts.
    np.testing.assert_array_equal(each, mean)
    other = batch | {"x": batch["x"].at[0].set(0)}
    changed = attack(key, other, loss_fn)["x"]
    np.testing.assert_array_equal(each[1:], changed[1:])
    assert (each[0] != changed[0]).any()


def test_a_sample_without_a_gradient_or_with_nan_leaves_the_others_alone(attack):
    batch, key = make_batch(), jax.random.key(4)
    loss_fn = network(batch)
    factor = jnp.array([jnp.nan, 0.0, 1, 1, 1, 1])
    found = attack(key, batch, lambda x: factor * loss_fn(x))["x"]
    assert np.isfinite(found).all()
    assert np.abs(found - unit(batch["x"])).max() <= EPSILON + 1e-7
    np.testing.assert_array_equal(found[2:], attack(key, batch, loss_fn)["x"][2:])


def test_jit_and_vmap_over_keys(attack):
    batch, keys = make_batch(), jax.random.split(jax.random.key(5), 2)
    loss_fn = network(batch)
    run = jax.jit(lambda key: attack(key, batch, loss_fn)["x"])
    both = jax.vmap(run)(keys)
    for key, found in zip(keys, both, strict=True):
        expected = attack(key, batch, loss_fn)["x"]
        # A pixel's sign may turn where its gradient is within rounding of 0.
        for got in (run(key), found):
            assert (np.abs(got - expected) > 1e-6).mean() < 0.01


@pytest.mark.parametrize(
    "wrong", [lambda: fgsm(8), lambda: pgd(8), lambda: pgd(0.1, -0.1), lambda: pgd(steps=0)]
)
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()
