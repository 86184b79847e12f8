"""Accumulated gradients, and controls inside that see every measurement."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from control.making import MONITORING, assert_trees_close, make, metrics, some_grads

from jaxopt_lab.control import multi_steps, skip_not_finite
from jaxopt_lab.control._early_stopping import EarlyStoppingState
from jaxopt_lab.control.plateau import PlateauState
from jaxopt_lab.core.tree import find_state
from jaxopt_lab.optimizers import adam, momentum
from jaxopt_lab.testing.transformation import some_params

# Of 20 calls, of which the 7th, the 14th, ... step; measured at all that do not, and more.
VALUES = np.sin(np.arange(20.0)) + 2.0
READY = np.arange(20) % 7 != 6
READY[[0, 1]] = False


def ran(tx, params, given=lambda step, grads: grads):
    """Parameters and state after the calls."""

    def body(carry, call):
        params, state = carry
        step, value, ready = call
        grads = given(step, some_grads(params, step))
        updates, state = tx.update(grads, state, params, metrics=metrics(value, ready))
        return (optax.apply_updates(params, updates), state), updates

    calls = (jnp.arange(20), jnp.asarray(VALUES, jnp.float32), jnp.asarray(READY))
    return jax.jit(lambda p: jax.lax.scan(body, (p, tx.init(p)), calls))(params)


@pytest.mark.parametrize("every", [1, 2, 7, 30])
def test_equals_optax(every):
    params = some_params()
    (ours, _), updates = ran(multi_steps(adam(0.1), every=every), params)
    (theirs, _), expected = ran(optax.MultiSteps(optax.adam(0.1), every), params)
    # Adam's own last digits, over at most 20 steps.
    assert_trees_close((ours, updates), (theirs, expected), 1e-4, 1e-6)


def test_lanes_of_a_vmap_have_their_own_number_of_calls():
    params = some_params()
    lanes = jax.vmap(lambda every: ran(multi_steps(momentum(0.1), every=every), params)[0])(
        jnp.array([2, 7])
    )
    for lane, every in enumerate([2, 7]):
        alone = ran(multi_steps(momentum(0.1), every=every), params)[0]
        assert_trees_close(jax.tree.map(lambda x, n=lane: x[n], lanes), alone, 1e-6)


def observed(state, kind):
    found = find_state(state, kind.__name__, kind)
    return {name: getattr(found, name) for name in found.observed}


@pytest.mark.parametrize("name", MONITORING)
@pytest.mark.parametrize("around", [lambda tx: multi_steps(tx, every=7), skip_not_finite])
def test_controls_inside_see_every_measurement(name, around):
    """As they do outside, where they are never silent."""
    lost = lambda step, g: jax.tree.map(lambda x: jnp.where(step % 3 == 0, x, jnp.nan), g)  # noqa: E731
    given = lost if around is skip_not_finite else lambda step, g: g
    params, kind = some_params(), PlateauState
    if name == "early_stopping":
        kind = EarlyStoppingState
    # A rate of 0: the parameters stay, which the best ones are compared by.
    inside = make(name, momentum(1e-9), patience=30 if kind is EarlyStoppingState else 2)
    (_, found), _ = ran(around(inside), params, given)
    (_, expected), _ = ran(inside, params)
    assert_trees_close(observed(found, kind), observed(expected, kind), 1e-6)
    state = find_state(expected, kind.__name__, kind)
    assert float(state.best) == np.float32(VALUES[READY].min())
    if kind is PlateauState:
        assert float(state.scale) < 1


def test_optax_s_own_loses_them():
    """The limit that the docstrings name."""
    tx = optax.MultiSteps(make("reduce_on_plateau", patience=1), 7)
    (_, state), _ = ran(tx, some_params())
    assert np.isinf(find_state(state, "PlateauState", PlateauState).best)


def test_a_stop_at_a_silent_call_ends_the_run():
    tx = multi_steps(make("early_stopping", momentum(0.1), patience=1), every=7)
    (_, state), updates = ran(tx, some_params())
    stopped = find_state(state, "EarlyStoppingState", EarlyStoppingState)
    # The 6th call has the best value, the 7th steps, and at the 8th, a silent one, it stops.
    assert stopped.stopped and int(stopped.best_step) == 5
    moved = np.any([[np.any(u) for u in leaf] for leaf in jax.tree.leaves(updates)], axis=0)
    assert np.flatnonzero(moved).tolist() == [6]


def test_float_gradients_of_whole_numbers_move_nothing():
    tx = multi_steps(momentum(0.1), every=2)
    params = {"n": jnp.array([2**24 + 1, -7]), "w": jnp.ones(2)}
    grads = jax.tree.map(lambda p: jnp.ones(p.shape), params)
    state = tx.init(params)
    for _ in range(2):
        updates, state = tx.update(grads, state, params)
    np.testing.assert_array_equal(optax.apply_updates(params, updates)["n"], params["n"])
    assert updates["w"].all()
