"""The plateau's rule against Keras' and PyTorch's, recorded, and against what optax gets wrong."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from control.making import assert_trees_close, metrics, some_grads

from jaxopt_lab.control import (
    learning_rate_scale,
    plateau_learning_rate,
    reduce_on_plateau,
)
from jaxopt_lab.optimizers import adam, momentum
from jaxopt_lab.testing.transformation import some_params

RECORD = pathlib.Path(__file__).parents[1] / "references" / "schedules_plateau.json"
CASES = json.loads(RECORD.read_text())["cases"]
GRADS = {"w": jnp.ones(1)}


def scales(values, ready=None, **given):
    """The scale in each call, by a scan over the measurements."""
    tx = reduce_on_plateau(**given)
    ready = jnp.ones(len(values), bool) if ready is None else ready

    def body(state, given):
        updates, state = tx.update(GRADS, state, metrics=metrics(*given))
        return state, updates["w"][0]

    return jax.jit(lambda v: jax.lax.scan(body, tx.init(GRADS), (v, ready))[1])(jnp.array(values))


def words(case):
    return tuple(sorted((k, v) for k, v in case["arguments"].items() if isinstance(v, str)))


@pytest.mark.parametrize("chosen", sorted(set(map(words, CASES))), ids=str)
def test_the_learning_rates_of_keras_and_pytorch(chosen):
    """All cases of the same words at once, their numbers traced."""
    cases = [case for case in CASES if words(case) == chosen]
    numbers = {k: [c["arguments"][k] for c in cases] for k in cases[0]["arguments"]}
    numbers = {k: jnp.array(v) for k, v in numbers.items() if k not in dict(chosen)}
    values = [[math.nan if v is None else v for v in case["metrics"]] for case in cases]
    each = jax.jit(jax.vmap(lambda v, n: scales(v, **n, **dict(chosen))))
    found = each(jnp.array(values), numbers)
    # float32 products of a few factors.
    expected = [case["learning_rates"] for case in cases]
    np.testing.assert_allclose(0.5 * found, expected, rtol=1e-6)


def test_the_record_holds_every_setting():
    given = [case["arguments"] for case in CASES]
    for name, least in (("patience", 5), ("cooldown", 4), ("floor", 3), ("threshold", 3)):
        assert len({g[name] for g in given}) >= least
    both = {(g["rule"], g["mode"], g["threshold_mode"]) for g in given}
    assert len(both) == 6  # Keras has no relative threshold
    assert sum(len(set(case["learning_rates"])) > 1 for case in CASES) > 80
    assert any(None in case["metrics"] for case in CASES)


@pytest.mark.parametrize("threshold_mode", ["absolute", "relative"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_constant_metric_of_any_sign_reduces(mode, threshold_mode):
    given = {"factor": 0.5, "patience": 2, "mode": mode, "threshold_mode": threshold_mode}
    values = jnp.repeat(jnp.array([[-1.0], [0.0], [1.0]]), 7, axis=1)
    found = jax.vmap(lambda v: scales(v, **given))(values)
    np.testing.assert_allclose(found, [[1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]] * 3)


def test_optax_never_reduces_below_zero():
    """The slip that the test above is about; when optax mends it, this fails."""
    theirs = optax.contrib.reduce_on_plateau(factor=0.5, patience=2)
    state = theirs.init(GRADS)
    for _ in range(7):
        _, state = theirs.update(GRADS, state, value=jnp.float32(-1.0))
    assert state.scale == 1.0


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_relative_threshold_is_symmetric(sign):
    """Better by 5% of the best is not enough for 10%, by 20% it is; above and below zero."""
    mode = "min" if sign > 0 else "max"
    given = {"factor": 0.5, "patience": 1, "threshold": 0.1, "threshold_mode": "relative"}
    np.testing.assert_allclose(scales([sign * 10, sign * 9.5], mode=mode, **given), [1, 0.5])
    np.testing.assert_allclose(scales([sign * 10, sign * 8.0], mode=mode, **given), [1, 1])
    mode = "max" if sign > 0 else "min"
    np.testing.assert_allclose(scales([sign * 10, sign * 10.5], mode=mode, **given), [1, 0.5])
    np.testing.assert_allclose(scales([sign * 10, sign * 12.0], mode=mode, **given), [1, 1])


def test_patience_zero_is_as_one_under_keras_rule():
    values = [1.0, 1.0, 1.0, 0.5, 0.5]
    zero, one = (scales(values, factor=0.5, patience=p) for p in (0, 1))
    np.testing.assert_allclose(zero, [1, 0.5, 0.25, 0.25, 0.125])
    np.testing.assert_array_equal(zero, one)


def test_only_new_measurements_count():
    ready = jnp.array([True, False, False, False, True, False, True])
    found = scales([1.0] * 7, ready, factor=0.5, patience=2)
    np.testing.assert_allclose(found, [1, 1, 1, 1, 1, 1, 0.5])


def test_nan_and_infinity_are_never_better():
    values = [float("nan"), float("inf"), float("nan"), 1.0, float("nan"), 0.5]
    np.testing.assert_allclose(scales(values, factor=0.5, patience=3), [1, 1, 0.5, 0.5, 0.5, 0.5])


def test_floor_as_a_learning_rate_and_as_a_scale():
    rate = scales([1.0] * 6, factor=0.5, patience=1, floor=0.003, learning_rate=0.01)
    np.testing.assert_allclose(0.01 * rate, [0.01, 0.005, 0.003, 0.003, 0.003, 0.003], rtol=1e-6)
    scale = scales([1.0] * 4, factor=0.5, patience=1, floor=0.3)
    np.testing.assert_allclose(scale, [1, 0.5, 0.3, 0.3], rtol=1e-6)
    above = scales([1.0] * 4, factor=0.5, patience=1, floor=2.0)
    np.testing.assert_allclose(above, 1)


@pytest.mark.parametrize("rule", ["keras", "torch"])
def test_at_the_floor_no_cooldown_begins(rule):
    """A floor that is no float32 share of the rate was fallen to again at every turn."""
    pairs = np.random.default_rng(0).uniform(0.001, 0.1, (64, 2))
    rates, floors = pairs.max(1), pairs.min(1)

    def end(rate, floor):
        tx = reduce_on_plateau(
            factor=0.1, patience=1, cooldown=3, floor=floor, learning_rate=rate, rule=rule
        )
        see = lambda state, _: (tx.update(GRADS, state, metrics=metrics(1.0))[1], None)  # noqa: E731
        return jax.lax.scan(see, tx.init(GRADS), length=40)[0]

    state = jax.jit(jax.vmap(end))(rates, floors)
    np.testing.assert_allclose(rates * state.scale, np.maximum(floors, 0.1 * rates), rtol=1)
    assert not state.cooldown.any()


def test_the_patience_may_be_swept():
    values = jnp.ones(6)
    found = jax.vmap(lambda p: scales(values, factor=0.5, patience=p))(jnp.array([1, 2, 4]))
    np.testing.assert_allclose(found[:, -1], [0.5**5, 0.5**2, 0.5])


def test_updates_keep_their_dtype():
    tx = reduce_on_plateau(factor=0.3, patience=1)
    grads = {"w": jnp.ones(3, jnp.bfloat16)}
    state = tx.init(grads)
    for _ in range(2):
        updates, state = tx.update(grads, state, metrics=metrics(1.0))
    assert updates["w"].dtype == jnp.bfloat16
    assert float(updates["w"][0]) == pytest.approx(0.3, rel=0.01)
    assert state.scale.dtype == jnp.float32


def test_the_wrapper_changes_the_rate_inside_the_velocity():
    """By hand: m <- b m + s eta g, which scaling the updates cannot give."""
    values = [1.0, 1.0, 1.0, 0.5, 0.5]
    tx = plateau_learning_rate(momentum(0.1, 0.9), factor=0.5, patience=1)
    member = optax.chain(momentum(0.1, 0.9), reduce_on_plateau(factor=0.5, patience=1))
    state, member_state = tx.init(GRADS), member.init(GRADS)
    velocity = plain = 0.0
    for value, scale in zip(values, [1, 0.5, 0.25, 0.25, 0.125], strict=True):
        inside, state = tx.update(GRADS, state, metrics=metrics(value))
        outside, member_state = member.update(GRADS, member_state, metrics=metrics(value))
        velocity, plain = 0.9 * velocity + 0.1 * scale, 0.9 * plain + 0.1
        np.testing.assert_allclose(inside["w"], -velocity, rtol=1e-6)
        np.testing.assert_allclose(outside["w"], -plain * scale, rtol=1e-6)
        assert learning_rate_scale(state) == scale
        assert learning_rate_scale(member_state) == scale


def test_the_wrapper_and_the_member_agree_where_the_rate_stands_outside():
    params = some_params()
    tx = plateau_learning_rate(adam(0.1), factor=0.5, patience=1)
    member = optax.chain(adam(0.1), reduce_on_plateau(factor=0.5, patience=1))
    state, member_state = tx.init(params), member.init(params)
    for step in range(5):
        grads = some_grads(params, step)
        a, state = tx.update(grads, state, params, metrics=metrics(1.0))
        b, member_state = member.update(grads, member_state, params, metrics=metrics(1.0))
        assert_trees_close(a, b)


def test_scales_from_outside_multiply():
    """Two plateaus that watch different metrics, one around the other."""
    inner = plateau_learning_rate(momentum(1.0, 0.0), factor=0.5, patience=1)
    tx = plateau_learning_rate(inner, monitor="loss", factor=0.1, patience=1)
    state = tx.init(GRADS)
    for _ in range(2):
        updates, state = tx.update(GRADS, state, metrics=metrics(1.0))
    np.testing.assert_allclose(updates["w"], -0.05, rtol=1e-6)
    with pytest.raises(ValueError, match="2 of reduce_on_plateau or plateau_learning_rate"):
        learning_rate_scale(state)
