"""Early stopping against Keras' callback, recorded, and by itself under vmap."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from control.making import assert_trees_equal, metrics, some_grads

from jaxopt_lab.control import best_params, early_stopping, has_stopped, weight_ema
from jaxopt_lab.optimizers import adam, sgd
from jaxopt_lab.testing.transformation import some_params

RECORD = pathlib.Path(__file__).parents[1] / "references" / "schedules_early_stopping.json"
CASES = json.loads(RECORD.read_text())["cases"]
NAN = float("nan")


def watch(values, ready=None, inner=None, **given):
    """Rows of (params of the call, best params, stopped); each step adds 1 to the one parameter."""
    tx = early_stopping(optax.identity() if inner is None else inner, **given)
    ready = jnp.ones(len(values), bool) if ready is None else ready
    start = {"w": jnp.zeros([])}

    def body(carry, given):
        params, state = carry
        updates, state = tx.update({"w": jnp.ones([])}, state, params, metrics=metrics(*given))
        # Each step adds 1, so that the best parameters are the step that they belong to.
        step = jnp.maximum(state.best_step, 0) + start["w"]
        row = (params["w"], best_params(state)["w"], has_stopped(state), step)
        return (optax.apply_updates(params, updates), state), row

    *rows, step = jax.lax.scan(body, (start, tx.init(start)), (jnp.asarray(values), ready))[1]
    if given.get("restore_best", True) and not isinstance(step, jax.core.Tracer):
        np.testing.assert_array_equal(step, rows[1])
    return rows


@pytest.mark.parametrize("baseline", [None, 1.0])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_stops_and_best_weights_of_keras(mode, baseline):
    """All cases of one mode at once, their numbers traced."""
    fixed = {"mode": mode, "baseline": baseline}
    cases = [case for case in CASES if fixed.items() <= case["arguments"].items()]
    traced = ("patience", "min_delta", "start_from")
    numbers = {k: jnp.array([case["arguments"][k] for case in cases]) for k in traced}
    values = [[math.nan if v is None else v for v in case["metrics"]] for case in cases]
    each = jax.jit(jax.vmap(lambda v, n: watch(v, **n, **fixed)))
    watched = jax.device_get(each(jnp.array(values), numbers))
    for case, params, best, stopped in zip(cases, *watched, strict=True):
        at = int(np.argmax(stopped)) if stopped.any() else None
        assert at == case["stopped_at"]
        assert int(best[-1]) == case["best_epoch"]
        # The parameters stay where they were measured for the last time.
        assert int(params[-1]) == (len(values[0]) - 1 if at is None else at)


def test_the_record_holds_every_setting():
    given = [case["arguments"] for case in CASES]
    for name, least in (("patience", 6), ("min_delta", 3), ("mode", 2), ("baseline", 2)):
        assert len({g[name] for g in given}) >= least
    stops = [case["stopped_at"] for case in CASES]
    assert len(set(stops)) > 10
    assert None in stops


def test_patience_zero_never_stops_at_the_first_measurement():
    assert not watch([NAN], patience=0)[2].any()
    assert watch([NAN, NAN], patience=0)[2].tolist() == [False, True]
    assert watch([1.0, 1.0], patience=0)[2].tolist() == [False, True]
    assert watch([1.0, 1.0], patience=1)[2].tolist() == [False, True]


def test_nan_is_never_better_not_even_first():
    params, best, stopped = watch([NAN, 2.0, NAN, NAN, 1.0], patience=2)
    assert best.tolist() == [0, 1, 1, 1, 1]
    assert stopped.tolist() == [False, False, False, True, True]
    assert params.tolist() == [0, 1, 2, 3, 3]
    assert not watch([NAN] * 3, patience=5)[1].any()


def test_only_new_measurements_count():
    ready = jnp.array([True, False, False, True, False, True, True])
    _, best, stopped = watch([2.0, 0.0, 9.0, 1.0, 9.0, 9.0, 9.0], ready, patience=2)
    assert best.tolist() == [0, 0, 0, 3, 3, 3, 3]
    assert stopped.tolist() == [False] * 6 + [True]


def test_it_stops_for_good_and_freezes_what_it_wraps():
    inner = optax.chain(adam(0.1), weight_ema(0.9))
    tx, params = early_stopping(inner, patience=2), some_params()
    state, frozen = tx.init(params), None
    for step, value in enumerate([1.0, 1.0, 1.0, 0.1, NAN, 0.0]):
        before = state
        updates, state = tx.update(some_grads(params, step), state, params, metrics=metrics(value))
        params = optax.apply_updates(params, updates)
        if step < 2:
            assert any(u.any() for u in jax.tree.leaves(updates))
            continue
        frozen = before.inner if frozen is None else frozen
        assert has_stopped(state)
        assert_trees_equal(updates, jax.tree.map(jnp.zeros_like, updates))
        assert_trees_equal(state.inner, frozen)
        assert state.best == 1.0


def test_after_the_stop_not_even_nan_gradients_move_anything():
    tx, params = early_stopping(sgd(0.1), patience=1), {"w": jnp.ones(2)}
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(params, state, params, metrics=metrics(1.0))
    updates, _ = tx.update({"w": jnp.full(2, NAN)}, state, params, metrics=metrics(1.0))
    assert not updates["w"].any()


def test_each_lane_stops_by_itself():
    values = jnp.array([[3.0, 2, 1, 0, -1], [1.0, 2, 2, 2, 2], [1.0, 1, 0, 0, 0]])
    params, best, stopped = jax.jit(jax.vmap(lambda v: watch(v, patience=2)))(values)
    assert stopped[:, -1].tolist() == [False, True, True]
    assert params[:, -1].tolist() == [4, 2, 4]
    assert best[:, -1].tolist() == [4, 0, 2]


def test_the_metric_belongs_to_the_parameters_of_the_call():
    """One more call after the last step, as the engine makes to read the last measurement."""
    tx, params = early_stopping(sgd(1.0), patience=5), {"w": jnp.array(0.0)}
    state = tx.init(params)
    for value in (3.0, 2.0, 1.0):
        _, seen = tx.update({"w": jnp.array(-1.0)}, state, params, metrics=metrics(value))
        assert best_params(seen)["w"] == params["w"]
        updates, state = tx.update({"w": jnp.array(-1.0)}, state, params, metrics=metrics(value))
        params = optax.apply_updates(params, updates)


def test_a_baseline_must_be_beaten_too():
    values = [5.0, 4.0, 3.0, 2.0]
    assert not watch(values, patience=2)[2].any()
    # Improvements above the baseline keep the best, but not the run: 5, 4, 3 wait; 3 again stops.
    _, best, stopped = watch([5.0, 4.0, 3.0, 3.0], patience=2, baseline=1.0)
    assert best.tolist() == [0, 1, 2, 2]
    assert stopped.tolist() == [False, False, False, True]


def test_max_with_a_margin():
    values = [0.5, 0.55, 0.7, 0.75, 0.72]
    _, best, stopped = watch(values, mode="max", min_delta=0.1, patience=2)
    assert best.tolist() == [0, 0, 2, 2, 2]
    assert stopped.tolist() == [False, False, False, False, True]


def test_without_best_weights_there_are_none_to_read_and_no_memory():
    tx, params = early_stopping(sgd(0.1), restore_best=False), {"w": jnp.ones(1000)}
    state = tx.init(params)
    assert sum(x.size for x in jax.tree.leaves(state)) < 10
    _, state = tx.update(params, state, metrics=metrics(1.0))
    with pytest.raises(ValueError, match="keeps no best parameters"):
        best_params(state)


def test_best_weights_are_bit_for_bit_those_measured():
    params = some_params(jnp.bfloat16)
    tx = early_stopping(adam(0.1), patience=3)
    state, kept = tx.init(params), None
    for step, value in enumerate([2.0, 1.0, 3.0, 3.0]):
        kept = params if value == 1.0 else kept
        updates, state = tx.update(some_grads(params, step), state, params, metrics=metrics(value))
        params = optax.apply_updates(params, updates)
    assert_trees_equal(best_params(state), kept)
    np.testing.assert_array_equal(has_stopped(state), False)
