"""Controls found in any state, however they are nested."""

import jax
import jax.numpy as jnp
import optax
import pytest
from control.making import assert_trees_equal, metrics, some_grads

from jaxopt_lab.control import (
    averaged_params,
    best_params,
    can_stop,
    early_stopping,
    has_stopped,
    learning_rate_scale,
    plateau_learning_rate,
    reduce_on_plateau,
    skip_not_finite,
    snapshot_params,
    snapshots,
    snapshots_taken,
    stochastic_weight_averaging,
    weight_ema,
)
from jaxopt_lab.optimizers import adam, sgd
from jaxopt_lab.testing.transformation import some_params

ACCESSORS = (averaged_params, best_params, learning_rate_scale, snapshot_params, snapshots_taken)
MASK = {"dense": True, "scale": False, "empty": True, "none": True}
LABELS = {"dense": "a", "scale": "b", "empty": "a", "none": "b"}


def everything():
    members = (sgd(0.1), reduce_on_plateau(), weight_ema(), snapshots(lambda step: step == 0, 2))
    return early_stopping(skip_not_finite(optax.chain(*members)))


NESTED = {
    "alone": everything,
    "chain": lambda: optax.chain(optax.identity(), optax.chain(everything())),
    "named_chain": lambda: optax.named_chain(("all", everything())),
    "masked": lambda: optax.masked(everything(), MASK),
    "partition": lambda: optax.partition({"a": everything(), "b": optax.set_to_zero()}, LABELS),
    "inject_hyperparams": lambda: optax.inject_hyperparams(
        lambda rate: optax.chain(optax.scale(rate), everything())
    )(rate=1.0),
    "apply_if_finite": lambda: optax.apply_if_finite(everything(), 3),
    "flatten": lambda: optax.flatten(everything()),
    "MultiSteps inside": lambda: early_stopping(
        optax.MultiSteps(
            optax.chain(sgd(0.1), weight_ema(), snapshots(lambda step: step == 0, 2)), 1
        )
    ),
}


@pytest.mark.parametrize("nesting", NESTED)
def test_found_wherever_they_are(nesting):
    tx, params = NESTED[nesting](), some_params()
    state = tx.init(params)
    assert can_stop(state)
    _, state = jax.jit(tx.update)(some_grads(params), state, params, metrics=metrics(1.0))
    assert not has_stopped(state)
    assert jax.tree.leaves(best_params(state))
    assert jax.tree.leaves(averaged_params(state))
    assert jax.tree.leaves(snapshot_params(state))[0].shape[0] == 2
    assert snapshots_taken(state) == 1
    if nesting != "MultiSteps inside":
        assert learning_rate_scale(state) == 1


def test_found_while_tracing_and_in_shapes():
    tx, params = everything(), some_params()
    assert can_stop(jax.eval_shape(tx.init, params))
    assert not jax.jit(lambda p: has_stopped(tx.init(p)))(params)
    assert_trees_equal(jax.jit(lambda p: best_params(tx.init(p)))(params), params)


def test_has_stopped_gives_one_answer_a_lane():
    tx = early_stopping(adam(0.1), patience=1)
    params = jnp.ones((3, 2))

    def last(p, values):
        state = tx.init(p)
        for value in values:
            _, state = tx.update(p, state, p, metrics=metrics(value))
        return state

    state = jax.jit(jax.vmap(last))(params, jnp.array([[2.0, 1.0], [1.0, 1.0], [1.0, 2.0]]))
    assert has_stopped(state).tolist() == [False, True, True]


def test_none_and_several_are_told():
    params = some_params()
    none = adam(0.1).init(params)
    for accessor in ACCESSORS:
        with pytest.raises(ValueError, match="the optimizer's state has no"):
            accessor(none)
    both = optax.chain(weight_ema(), stochastic_weight_averaging(0)).init(params)
    with pytest.raises(ValueError, match="2 of weight_ema or stochastic_weight_averaging"):
        averaged_params(both)
    nested = early_stopping(early_stopping(adam(0.1)), monitor="loss").init(params)
    with pytest.raises(ValueError, match="2 of early_stopping; there must be one"):
        best_params(nested)


def test_a_run_that_nothing_can_stop_has_not_stopped():
    state = adam(0.1).init(some_params())
    assert not can_stop(state)
    assert not has_stopped(state)


def test_of_two_that_may_stop_either_does():
    inner = early_stopping(sgd(0.1), monitor="loss", patience=1)
    tx, params = early_stopping(inner, patience=100), some_params()
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(some_grads(params), state, params, metrics=metrics(1.0))
    assert has_stopped(state)


def test_a_plateau_inside_a_wrapper_is_found_once():
    tx = skip_not_finite(plateau_learning_rate(optax.chain(adam(0.1)), factor=0.5, patience=1))
    params = some_params()
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(some_grads(params), state, params, metrics=metrics(1.0))
    assert learning_rate_scale(state) == 0.5
