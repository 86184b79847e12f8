"""Clipping, noise and skipping: what happens to a gradient before the optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from control.making import assert_trees_close, assert_trees_equal, metrics, some_grads

from jaxopt_lab.control import (
    add_gradient_noise,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    early_stopping,
    has_stopped,
    skip_not_finite,
)
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.optimizers import adadelta, adagrad, adam, momentum, rmsprop
from jaxopt_lab.testing.transformation import some_params


def apply(tx, grads, **extra):
    return tx.update(grads, tx.init(grads), grads, **extra)[0]


def test_clip_by_value_against_numpy():
    grads = {"a": jnp.linspace(-2, 2, 9), "b": jnp.array(0.2)}
    clipped = apply(clip_by_value(0.5), grads)
    expected = jax.tree.map(lambda g: np.clip(g, -0.5, 0.5), grads)
    assert_trees_equal(clipped, expected)


@pytest.mark.parametrize("bound", [0.1, 1.0, 100.0])
def test_clip_by_norm_holds_each_tensor(bound):
    grads = some_grads(some_params())
    for g, c in zip(*map(jax.tree.leaves, (grads, apply(clip_by_norm(bound), grads))), strict=True):
        norm = np.linalg.norm(np.ravel(g))
        np.testing.assert_allclose(c, g * min(1, bound / norm) if norm else g, rtol=1e-6)


@pytest.mark.parametrize("bound", [0.1, 1.0, 100.0])
def test_clip_by_global_norm_against_optax(bound):
    grads = some_grads(some_params())
    clipped = apply(clip_by_global_norm(bound), grads)
    assert_trees_close(clipped, apply(optax.clip_by_global_norm(bound), grads))
    if bound == 100.0:
        assert_trees_equal(clipped, grads)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm])
def test_zero_and_missing_gradients(clip):
    zeros = {"a": jnp.zeros(3), "empty": jnp.zeros((0, 2))}
    assert_trees_equal(apply(clip(1.0), zeros), zeros)
    assert apply(clip(1.0), {}) == {}


def test_the_derivative_through_clipping_is_finite_at_zero():
    tx = clip_by_global_norm(1.0)
    slope = jax.grad(lambda x: tx.update({"w": 5 * x}, tx.init({}), None)[0]["w"].sum())
    np.testing.assert_allclose(slope(jnp.array([0.1, 0.1])), 5.0, rtol=1e-6)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm])
def test_the_norm_of_bfloat16_is_accumulated_in_float32(clip):
    """10,000 ones: bfloat16 stops counting at 256, and its norm would be 16 in place of 100."""
    grads = {"w": jnp.ones(10_000, jnp.bfloat16)}
    clipped = apply(clip(10.0), grads)["w"]
    assert clipped.dtype == jnp.bfloat16
    np.testing.assert_allclose(clipped.astype(jnp.float32), 0.1, rtol=4e-3)


@pytest.mark.parametrize("clip", [clip_by_value, clip_by_norm, clip_by_global_norm])
def test_not_finite_gradients_stay_visible(clip):
    for bad in (float("nan"), float("inf")):
        clipped = apply(clip(1.0), {"w": jnp.array([1.0, bad])})["w"]
        if clip is clip_by_value and np.isinf(bad):
            assert clipped[1] == 1.0  # a bound holds infinity too
        else:
            assert not np.isfinite(clipped[1])


def full_size_passes(tx, leaves=2):
    """Arrays of a parameter's size that the compiled update writes, fused loops included."""
    params = {str(i): jnp.ones((300, 300)) for i in range(leaves)}
    compiled = jax.jit(tx.update).lower(params, tx.init(params), params).compile()
    text = compiled.as_text()
    entry = text[text.index("ENTRY") :].splitlines()
    made = [line for line in entry if "f32[300,300]" in line.partition("=")[2].partition("(")[0]]
    return len([line for line in made if "parameter(" not in line and "tuple(" not in line])


def test_clipping_before_adam_stores_no_clipped_gradient():
    """What makes it fast: optax's division writes an array for each leaf."""
    ours = full_size_passes(optax.chain(clip_by_global_norm(1.0), adam(0.1)))
    theirs = full_size_passes(optax.chain(optax.clip_by_global_norm(1.0), adam(0.1)))
    assert ours == theirs - 2


def test_noise_has_its_variance():
    tx = add_gradient_noise(0, eta=0.3, gamma=0.55)
    grads = {"a": jnp.zeros(20_000), "b": jnp.zeros(20_000)}
    state = tx.init(grads)
    previous = None
    for step in range(4):
        noise, state = tx.update(grads, state)
        deviation = np.sqrt(0.3 / (1 + step) ** 0.55)
        for name in grads:
            # Five standard errors of a mean and of a deviation of 20,000 draws.
            assert abs(noise[name].mean()) < 5 * deviation / np.sqrt(20_000)
            assert noise[name].std() == pytest.approx(deviation, rel=5 / np.sqrt(40_000))
        assert abs(np.corrcoef(noise["a"], noise["b"])[0, 1]) < 0.04
        if previous is not None:
            assert abs(np.corrcoef(noise["a"], previous)[0, 1]) < 0.04
        previous = noise["a"]


def test_noise_follows_the_key_that_is_given_or_the_seed():
    grads = {"w": jnp.zeros(5)}
    one, two = add_gradient_noise(1), add_gradient_noise(2)
    keys = jax.random.split(jax.random.key(0))
    assert_trees_equal(apply(one, grads), apply(one, grads))
    assert (apply(one, grads)["w"] != apply(two, grads)["w"]).all()
    assert_trees_equal(apply(one, grads, key=keys[0]), apply(two, grads, key=keys[0]))
    assert (apply(one, grads, key=keys[0])["w"] != apply(one, grads, key=keys[1])["w"]).all()
    legacy = jax.random.PRNGKey(0)
    assert apply(one, grads, key=legacy)["w"].any()


def test_lanes_have_their_own_noise():
    grads = {"w": jnp.zeros(5)}
    by_key = jax.vmap(lambda key: apply(add_gradient_noise(0), grads, key=key))
    by_seed = jax.vmap(lambda seed: apply(add_gradient_noise(seed), grads))
    for noise in (by_key(jax.random.split(jax.random.key(0), 3)), by_seed(jnp.arange(3))):
        assert len(np.unique(noise["w"])) == 15


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_leaves_everything_as_it_was(bad):
    tx, params = skip_not_finite(adam(0.1)), some_params()
    state = tx.init(params)
    _, state = tx.update(some_grads(params), state, params)
    grads = some_grads(params)
    grads["dense"]["bias"] = grads["dense"]["bias"].at[1].set(bad)
    updates, new = jax.jit(tx.update)(grads, state, params)
    assert_trees_equal(updates, jax.tree.map(jnp.zeros_like, updates))
    assert_trees_equal(new.inner, state.inner)
    assert (int(new.in_a_row), int(new.total)) == (1, 1)
    _, after = tx.update(some_grads(params), new, params)
    assert (int(after.in_a_row), int(after.total)) == (0, 1)


@pytest.mark.parametrize("limit", [0, 3, None])
def test_after_so_many_in_a_row_it_gives_up_and_moves_no_more(limit):
    tx, params = skip_not_finite(momentum(0.1), max_consecutive=limit), {"w": jnp.ones(2)}
    theirs = optax.apply_if_finite(momentum(0.1), 10**6 if limit is None else limit)
    state, other, reference = tx.init(params), theirs.init(params), jax.jit(theirs.update)
    for k in range(6):
        grads = {"w": jnp.full(2, float("nan") if k else 1.0)}
        updates, state = tx.update(grads, state, params)
        expected, other = reference(grads, other, params)
        assert bool(state.gave_up) == bool(np.isnan(expected["w"]).any())
        if not state.gave_up:
            assert_trees_close(updates, expected)
    assert int(state.in_a_row) == int(state.total) == (5 if limit is None else limit + 1)
    updates, after = tx.update({"w": jnp.ones(2)}, state, params)
    if limit is not None:
        assert_trees_equal((updates, after), ({"w": jnp.zeros(2)}, state))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_left_out_though_its_gradient_is(value):
    tx, params = skip_not_finite(adam(0.1)), some_params()
    state = tx.init(params)
    updates, new = tx.update(some_grads(params), state, params, value=jnp.float32(value))
    assert_trees_equal((updates, new.inner), (jax.tree.map(jnp.zeros_like, params), state.inner))
    assert int(new.total) == 1 and not new.gave_up


def test_lanes_skip_by_themselves():
    tx, params = skip_not_finite(momentum(0.1)), jnp.ones(3)

    def total(grads):
        updates, state = tx.update(grads, tx.init(params), params)
        return updates.sum(), state.total

    grads = jnp.ones((3, 3)).at[1, 2].set(float("nan"))
    updates, counts = jax.vmap(total)(grads)
    np.testing.assert_allclose(updates, [-0.3, 0, -0.3], rtol=1e-6)
    assert counts.tolist() == [0, 1, 0]


def test_early_stopping_outside_sees_measurements_of_skipped_steps():
    tx = early_stopping(skip_not_finite(momentum(0.1)), patience=1)
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    for value in (1.0, 2.0):
        grads = {"w": jnp.full(2, float("nan"))}
        _, state = tx.update(grads, state, params, metrics=metrics(value))
    assert has_stopped(state)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm])
def test_the_norm_of_a_complex_gradient_is_of_its_sizes(clip):
    grads = {"z": jnp.array([3 + 4j, 0j])}
    np.testing.assert_allclose(apply(clip(1.0), grads)["z"], [0.6 + 0.8j, 0], rtol=1e-6)
    np.testing.assert_array_equal(apply(clip(6.0), grads)["z"], grads["z"])


def test_clip_by_value_refuses_complex_gradients():
    with pytest.raises(InputError, match="clip_by_value: is not defined for complex numbers"):
        apply(clip_by_value(1.0), jnp.array([3 + 4j]))


def test_noise_on_a_complex_gradient_is_circular():
    noise = apply(add_gradient_noise(0, eta=0.04, gamma=0.0), jnp.zeros(20_000, jnp.complex64))
    assert noise.dtype == jnp.complex64
    # Of 20,000 draws, within 5 standard errors.
    np.testing.assert_allclose([jnp.var(noise.real), jnp.var(noise.imag)], 0.02, rtol=0.05)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm])
@pytest.mark.parametrize("size", [3e20, 5e37, 1e-20, 1e-30])
def test_squares_may_overflow_or_underflow(clip, size):
    grads = {"w": size * jnp.array([3.0, -4.0]) / 5}
    np.testing.assert_allclose(apply(clip(size / 8), grads)["w"], grads["w"] / 8, rtol=1e-6)
    small, wide = apply(clip(1e-3), grads)["w"], np.asarray(grads["w"], np.float64)
    np.testing.assert_allclose(small, wide * min(1, 1e-3 / size), rtol=1e-6)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm])
def test_a_traced_bound_of_zero(clip):
    found = jax.jit(lambda c, g: apply(clip(c), g))(0.0, {"a": jnp.zeros(2), "b": jnp.ones(2)})
    assert_trees_equal(found, {"a": jnp.zeros(2), "b": jnp.zeros(2)})
    assert_trees_equal(jax.jit(lambda c: apply(clip(c), jnp.zeros(2)))(0.0), jnp.zeros(2))


@pytest.mark.parametrize("make", [adam, adadelta, rmsprop, adagrad])
def test_skips_a_finite_gradient_whose_square_is_not(make):
    """Else the second moment stays infinite, and nothing moves ever after."""
    tx, params = skip_not_finite(make(0.1)), {"w": jnp.ones(2)}
    usual = {"w": jnp.array([0.1, -0.2])}
    _, state = tx.update(usual, tx.init(params), params)
    updates, skipped = tx.update({"w": jnp.array([1e20, 0.0])}, state, params)
    assert_trees_equal(updates, {"w": jnp.zeros(2)})
    assert_trees_equal(skipped.inner, state.inner)
    assert (int(skipped.in_a_row), int(skipped.total)) == (1, 1)
    assert_trees_equal(tx.update(usual, skipped, params)[0], tx.update(usual, state, params)[0])


def test_a_best_value_that_is_infinite_at_first_skips_nothing():
    tx = skip_not_finite(early_stopping(momentum(0.1), patience=3))
    params = {"w": jnp.ones(2)}
    _, state = tx.update(params, tx.init(params), params, metrics=metrics(1.0))
    assert int(state.total) == 0
