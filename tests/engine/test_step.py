"""The step against a plain loop written out with optax, and what it hands to the optimizer."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Metric
from jaxopt_lab.engine import (
    Forward,
    Objective,
    init_state,
    make_prepare,
    make_step,
    with_evaluation,
)
from jaxopt_lab.losses import accuracy, jensen_shannon, l2, softmax_cross_entropy
from jaxopt_lab.nn import cnn, mlp
from jaxopt_lab.optimizers import adam


@pytest.fixture(name="batch")
def _batch():
    rng = np.random.default_rng(0)
    return {
        "x": jnp.asarray(rng.normal(size=(8, 6, 6, 1)), jnp.float32),
        "y": jnp.asarray(rng.integers(0, 3, 8), jnp.int32),
    }


def recording(inner=None):
    """An optimizer that keeps the extras of its last call outside: for eager calls only."""
    inner = inner or optax.with_extra_args_support(optax.sgd(0.1))
    seen = {}

    def update(grads, state, params=None, **extra):
        seen.update(extra, grads=grads, params=params)
        return inner.update(grads, state, params)

    return optax.GradientTransformationExtraArgs(inner.init, update), seen


def start(model, tx, batch, **kw):
    return init_state(jax.random.key(0), Forward(model), tx, batch["x"], **kw)


def plain_step(model, tx, dtype=jnp.float32):
    return make_step(Forward(model, dtype=dtype), Objective(softmax_cross_entropy), tx)


def test_equals_a_plain_loop(batch):
    model, tx = mlp(3, hidden=[5]), adam(0.01)
    step = jax.jit(plain_step(model, tx))
    state = start(model, tx, batch)
    params, opt_state = state.params, tx.init(state.params)

    @jax.jit
    def plain(params, opt_state):
        def loss(p):
            logits = model.apply({"params": p}, batch["x"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()

        updates, opt_state = tx.update(jax.grad(loss)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    for _ in range(5):
        state, _ = step(state, batch)
        params, opt_state = plain(params, opt_state)
    # The same mathematics with another formula for the loss: float32 rounding over 5 steps.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), state.params, params)
    assert state.step == 5


def test_a_penalty_is_minimized_with_the_loss_and_told_apart(batch):
    model, rate, weight = mlp(3, hidden=[5]), 0.1, 0.3
    plain = make_step(Forward(model), Objective(softmax_cross_entropy), optax.sgd(rate))
    penalized = make_step(
        Forward(model),
        Objective(softmax_cross_entropy, penalty=partial(l2, weight=weight)),
        optax.sgd(rate),
    )
    state = start(model, optax.sgd(rate), batch)
    without, row = plain(state, batch)
    found, with_penalty = penalized(state, batch)
    assert with_penalty["loss"] == row["loss"]
    kernels = [p for p in jax.tree.leaves(state.params) if p.ndim > 1]
    squares = sum(float((np.asarray(k, np.float64) ** 2).sum()) for k in kernels)
    np.testing.assert_allclose(with_penalty["penalty"], weight / 2 * squares, rtol=1e-6)

    def decayed(before, after):
        return after - rate * weight * before if before.ndim > 1 else after

    expected = jax.tree.map(decayed, state.params, without.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found.params, expected)


def test_an_attack_is_given_the_loss_in_evaluation_mode(batch):
    model, tx, seen = cnn(3, channels=[4]), optax.sgd(0.1), {}

    def attack(key, batch, loss_fn):
        seen.update(key=key, losses=loss_fn(batch["x"]), moved=loss_fn(batch["x"] + 1))
        return batch | {"x": batch["x"] + 1}

    def augment(key, batch):
        return batch | {"x": 2 * batch["x"]}

    state = start(model, tx, batch)
    step = make_step(
        Forward(model),
        Objective(softmax_cross_entropy),
        tx,
        prepare=make_prepare(Forward(model), softmax_cross_entropy, augment=augment, attack=attack),
    )
    after, _ = step(state, batch)
    variables = {"params": state.params, **state.model_state}
    logits = model.apply(variables, 2 * batch["x"], train=False)
    expected = softmax_cross_entropy(logits, batch["y"])
    np.testing.assert_allclose(seen["losses"], expected, rtol=1e-5)
    assert seen["moved"].shape == (8,)
    plain = plain_step(model, tx)
    same, _ = plain(state, batch | {"x": 2 * batch["x"] + 1})
    jax.tree.map(np.testing.assert_array_equal, after.params, same.params)


def test_views_add_their_divergence_and_the_loss_is_of_the_first(batch):
    model, tx = mlp(3, hidden=[5]), optax.sgd(0.1)

    def views(key, batch):
        return batch | {"x": jnp.concatenate([batch["x"] * s for s in (1.0, 2.0, -1.0)])}

    step = make_step(
        Forward(model),
        Objective(
            softmax_cross_entropy,
            consistency=lambda z: 12 * jensen_shannon(z),
            measures={"accuracy": accuracy},
        ),
        tx,
        prepare=make_prepare(Forward(model), softmax_cross_entropy, augment=views),
    )
    state = start(model, tx, batch)
    after, row = jax.jit(step)(state, batch)

    def objective(params):
        z = [model.apply({"params": params}, batch["x"] * s) for s in (1.0, 2.0, -1.0)]
        divergence = 12 * jensen_shannon(jnp.stack(z)).mean()
        return softmax_cross_entropy(z[0], batch["y"]).mean() + divergence, divergence

    (total, divergence), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
    np.testing.assert_allclose(row["consistency"], divergence, rtol=1e-5)
    np.testing.assert_allclose(row["loss"] + row["consistency"], total, rtol=1e-5)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.params, expected)


def test_the_optimizer_is_given_the_extras(batch):
    tx, seen = recording()
    model = mlp(3, hidden=[5])
    step = make_step(
        Forward(model), Objective(softmax_cross_entropy, measures={"accuracy": accuracy}), tx
    )
    state = start(model, tx, batch, evaluation=["val_loss"])
    _, row = step(state, batch)
    assert seen["value"] == row["loss"]
    assert set(seen["metrics"]) == {"loss", "accuracy", "val_loss"}
    assert all(isinstance(m, Metric) for m in seen["metrics"].values())
    assert seen["metrics"]["loss"].ready and not seen["metrics"]["val_loss"].ready
    jax.tree.map(np.testing.assert_array_equal, seen["grad_fn"](seen["params"]), seen["grads"])
    keys = [jax.random.key_data(seen["key"])]
    step(state._replace(step=state.step + 1), batch)
    assert not np.array_equal(keys[0], jax.random.key_data(seen["key"]))


def test_an_evaluation_is_new_for_one_step_only(batch):
    tx, seen = recording()
    model = mlp(3, hidden=[5])
    step = plain_step(model, tx)
    state = with_evaluation(start(model, tx, batch, evaluation=["val_loss"]), {"val_loss": 2.0})
    state, _ = step(state, batch)
    assert seen["metrics"]["val_loss"].ready and seen["metrics"]["val_loss"].value == 2.0
    state, _ = step(state, batch)
    assert not seen["metrics"]["val_loss"].ready and seen["metrics"]["val_loss"].value == 2.0


def test_types_stay_and_so_a_loop_is_compiled_once(batch):
    model, tx = mlp(3, hidden=[5], norm="batch"), adam(0.01)
    state = start(model, tx, batch, evaluation=("val_loss",))
    types = jax.tree.map(jax.typeof, state)  # weak types included
    state, _ = jax.jit(plain_step(model, tx))(state, batch)
    assert jax.tree.map(jax.typeof, state) == types
    assert jax.tree.map(jax.typeof, with_evaluation(state, {"val_loss": 2.0})) == types


def test_batch_statistics_move_in_training(batch):
    model, tx = cnn(3, channels=[4]), adam(0.01)
    step = jax.jit(plain_step(model, tx))
    before = start(model, tx, batch)
    after, _ = step(before, batch)
    assert not np.allclose(
        before.model_state["batch_stats"]["BatchNorm_0"]["mean"],
        after.model_state["batch_stats"]["BatchNorm_0"]["mean"],
    )


def test_dropout_differs_between_steps_and_repeats_by_key(batch):
    model, tx = mlp(3, hidden=[32], dropout=0.5), optax.sgd(0.0)
    step = jax.jit(plain_step(model, tx))
    state = start(model, tx, batch)
    state1, first = step(state, batch)
    _, second = step(state1, batch)
    assert first["loss"] != second["loss"]
    assert step(state, batch)[1]["loss"] == first["loss"]


@pytest.mark.parametrize("make", [lambda: mlp(3, hidden=[5]), lambda: cnn(3, channels=[4])])
def test_bfloat16_computes_narrow_and_keeps_float32(make, batch):
    model, tx = make(), adam(0.01)
    step = jax.jit(plain_step(model, tx, jnp.bfloat16))
    state = start(model, tx, batch)
    after, row = step(state, batch)
    for tree in (after.params, after.model_state, after.opt_state):
        floating = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
        assert all(x.dtype == jnp.float32 for x in floating)
    assert row["loss"].dtype == jnp.float32
    text = str(jax.make_jaxpr(plain_step(model, tx, jnp.bfloat16))(state, batch))
    assert "bf16" in text
    exact, _ = jax.jit(plain_step(model, tx))(state, batch)
    assert row["loss"] == pytest.approx(step(state, batch)[1]["loss"])
    # bfloat16 keeps 8 bits: the first Adam step has size 0.01, so signs decide most of it.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=0.021), after.params, exact.params
    )


def test_vmap_over_seeds_and_rates_equals_a_loop(batch):
    model = mlp(3, hidden=[5])

    def final(seed, rate):
        tx = adam(rate)
        step = plain_step(model, tx)
        state = init_state(jax.random.key(seed), Forward(model), tx, batch["x"])
        state, rows = jax.lax.scan(lambda s, _: step(s, batch), state, None, 4)
        return state.params, rows["loss"]

    seeds, rates = jnp.arange(3), jnp.array([1e-3, 1e-2, 1e-1])
    together = jax.jit(jax.vmap(final))(seeds, rates)
    for i in range(3):
        alone = jax.jit(final)(seeds[i], rates[i])
        # Batched matrix products sum in another order.
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6),
            together,
            alone,
        )


def test_a_model_without_parameters_is_refused(batch):
    class Nothing(nn.Module):
        def __call__(self, x, *, train=False):
            return x.reshape(len(x), -1)

    with pytest.raises(InputError, match="Nothing has no parameters"):
        start(Nothing(), optax.sgd(0.1), batch)
