"""Averages and snapshots of parameters against closed forms and optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from control.making import assert_trees_close, some_grads

from jaxopt_lab.control import (
    averaged_params,
    snapshot_params,
    snapshots,
    snapshots_taken,
    stochastic_weight_averaging,
    weight_ema,
)
from jaxopt_lab.core.tree import take
from jaxopt_lab.optimizers import sgd
from jaxopt_lab.schedules import cyclical_cycle_end, sgdr, sgdr_cycle_end
from jaxopt_lab.testing.transformation import some_params


def walk(tx, steps=40, dtype=jnp.float32):
    """Parameters after each step, (steps, 3), and the state after each."""
    start = jnp.array([0.5, -1.0, 2.0], dtype)

    def body(carry, step):
        params, state = carry
        grads = jnp.sin(params + step).astype(dtype)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), (params, state)

    return jax.lax.scan(body, (start, tx.init(start)), jnp.arange(steps, dtype=dtype))[1]


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99, 0.9999])
@pytest.mark.parametrize("debias", [False, True])
def test_weight_ema_by_its_sum(decay, debias):
    path, state = walk(optax.chain(sgd(0.1), weight_ema(decay, debias=debias)))
    averages = averaged_params(state)
    path = np.asarray(path, np.float64)
    for t in (1, 2, 3, 10, 40):
        if debias:
            weights = (1 - decay) * decay ** np.arange(t - 1.0, -1, -1) / (1 - decay**t)
        else:
            weights = (1 - decay) * decay ** np.arange(t - 1.0, -1, -1)
            weights[0] = decay ** (t - 1)
        np.testing.assert_allclose(averages[t - 1], weights @ path[:t], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(averages[0], path[0])


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_debiased_weight_ema_against_optax(decay):
    path, state = walk(optax.chain(sgd(0.1), weight_ema(decay, debias=True)))
    ema = optax.ema(decay, debias=True)
    theirs = ema.init(path[0])
    for params, average in zip(path, averaged_params(state), strict=True):
        expected, theirs = ema.update(params, theirs)
        # optax's bias correction, 1 - 0.999 in float32, is off by 1e-5 relative.
        np.testing.assert_allclose(average, expected, rtol=1e-4)


def test_swa_is_the_mean_of_those_that_count():
    path, state = walk(optax.chain(sgd(0.1), stochastic_weight_averaging(10, every=4)))
    averages, path = averaged_params(state), np.asarray(path, np.float64)
    for t in (1, 5, 9):  # before the first: the current parameters
        np.testing.assert_array_equal(averages[t - 1], path[t - 1])
    for t in (10, 13, 14, 30, 40):
        counted = [k for k in range(1, t + 1) if k >= 10 and (k - 10) % 4 == 0]
        mean = np.mean([path[k - 1] for k in counted], axis=0)
        np.testing.assert_allclose(averages[t - 1], mean, rtol=1e-5, atol=1e-6)


def test_swa_from_the_first_step():
    path, state = walk(optax.chain(sgd(0.1), stochastic_weight_averaging(0)))
    expected = np.cumsum(path, 0) / np.arange(1, 41)[:, None]
    np.testing.assert_allclose(averaged_params(state), expected, rtol=1e-5, atol=1e-6)


def test_updates_are_left_alone():
    params = some_params()
    grads = some_grads(params)
    for tx in (weight_ema(), stochastic_weight_averaging(3), snapshots(lambda k: k == 1)):
        updates, _ = tx.update(grads, tx.init(params), params)
        assert all(a is b for a, b in zip(*map(jax.tree.leaves, (updates, grads)), strict=True))


@pytest.mark.parametrize("tx", [weight_ema(0.999), stochastic_weight_averaging(0)])
def test_averages_of_bfloat16_parameters_are_float32(tx):
    """In bfloat16 an average would not move: 1 + 0.001 is 1."""
    params, state = jnp.ones(1, jnp.bfloat16), tx.init(jnp.ones(1, jnp.bfloat16))
    _, state = tx.update(jnp.zeros(1, jnp.bfloat16), state, params)
    for _ in range(100):
        _, state = tx.update(jnp.ones(1, jnp.bfloat16), state, params)
    average = averaged_params(state)
    assert average.dtype == jnp.float32
    expected = 2 - 0.999**100 if isinstance(state, type(weight_ema().init(params))) else 2 - 1 / 101
    np.testing.assert_allclose(average, expected, rtol=1e-5)


def test_decay_may_be_swept():
    decays = jnp.array([0.5, 0.9])

    def final(decay):
        tx = optax.chain(sgd(0.1), weight_ema(decay, debias=True))
        return averaged_params(take(walk(tx)[1], -1))

    loop = jnp.stack([final(float(d)) for d in decays])
    np.testing.assert_allclose(jax.vmap(final)(decays), loop, rtol=1e-5)


def test_snapshots_at_exact_steps():
    given = {"cycle": 5, "t_mult": 2}  # cycles end on steps 4, 14, 34
    tx = optax.chain(sgd(sgdr(**given, peak=0.1)), snapshots(sgdr_cycle_end(**given), 3))
    path, states = walk(tx)
    taken = snapshots_taken(states)
    assert np.flatnonzero(np.diff(taken, prepend=0)).tolist() == [4, 14, 34]
    last = take(states, -1)
    np.testing.assert_array_equal(snapshot_params(last), path[jnp.array([4, 14, 34])])


def test_more_cycles_than_members_keep_the_last():
    tx = optax.chain(sgd(0.1), snapshots(cyclical_cycle_end(5), 3))  # 9, 19, 29, 39
    path, states = walk(tx)
    last = take(states, -1)
    assert int(snapshots_taken(last)) == 4
    np.testing.assert_array_equal(snapshot_params(last), path[jnp.array([39, 19, 29])])


def test_places_that_are_not_filled_hold_the_first_parameters():
    tx = optax.chain(sgd(0.1), snapshots(lambda step: step == 3, 3))
    path, states = walk(tx)
    found = snapshot_params(take(states, -1))
    np.testing.assert_array_equal(found[0], path[3])
    np.testing.assert_array_equal(found[1:], [[0.5, -1.0, 2.0]] * 2)


def test_snapshots_under_vmap_with_their_own_cycles():
    def last(length):
        tx = optax.chain(sgd(0.1), snapshots(cyclical_cycle_end(length), 2))
        return snapshot_params(take(walk(tx)[1], -1))

    loop = jnp.stack([last(n) for n in (3, 5, 8)])
    np.testing.assert_allclose(jax.vmap(last)(jnp.array([3, 5, 8])), loop, rtol=1e-6)


def test_the_average_is_taken_after_every_update_of_the_chain():
    """Behind a member that scales, the parameters after the step are the scaled ones."""
    params, grads = jnp.ones(2), jnp.ones(2)
    tx = optax.chain(sgd(0.1), optax.scale(0.5), weight_ema())
    updates, state = tx.update(grads, tx.init(params), params)
    assert_trees_close(averaged_params(state), optax.apply_updates(params, updates))


LONG = 30_000


def averages_of(values, dtype):
    """Of a long walk through these values: a slow EMA, the same without bias, and the mean."""
    txs = [weight_ema(0.9999), weight_ema(0.9999, debias=True), stochastic_weight_averaging(0)]
    start = jnp.zeros([], dtype)

    def body(states, value):
        given = zip(txs, states, strict=True)
        return [tx.update(value.astype(dtype), state, start)[1] for tx, state in given], None

    run = jax.jit(lambda v: jax.lax.scan(body, [tx.init(start) for tx in txs], v)[0])
    return [float(state.average) for state in run(values)]


def expected_averages(values):
    """The same sums in NumPy's double precision."""
    values, weights = np.asarray(values, np.float64), 0.9999 ** np.arange(LONG - 1.0, -1, -1)
    ema = 1e-4 * (weights[1:] @ values[1:]) + weights[0] * values[0]
    return [ema, weights @ values / weights.sum(), values.mean()]


# Steps of an average too small for its last place; one that moves; one that stands still.
WALKS = {
    "near": np.where(np.arange(LONG) == 0, 1.0, 1.0001),
    "noisy": 1 + np.random.default_rng(0).normal(size=LONG),
    "constant": np.full(LONG, 3.0),
}


@pytest.mark.parametrize("walk", WALKS)
def test_long_averages_in_float32_do_not_drift(walk):
    values = WALKS[walk].astype(np.float32)
    # One rounding of the result and, of weights like 1e-4, of the weights.
    found = averages_of(jnp.asarray(values), jnp.float32)
    np.testing.assert_allclose(found, expected_averages(values), rtol=3e-7)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("walk", WALKS)
def test_long_averages_under_x64_are_float64(walk):
    found = averages_of(jnp.asarray(WALKS[walk]), jnp.float64)
    # 1 - 0.9999 has twelve digits in double precision.
    np.testing.assert_allclose(found, expected_averages(WALKS[walk]), rtol=1e-12)


@pytest.mark.parametrize("tx", [weight_ema(0.5), stochastic_weight_averaging(0)])
def test_what_cannot_be_trained_is_in_the_average_as_it_is(tx):
    """A float32 average would round the number to 16,777,216."""
    params = {"w": jnp.ones(2), "n": jnp.array(2**24 + 1), "on": jnp.array(True)}
    updates = jax.tree.map(jnp.zeros_like, params)
    state = tx.init(params)
    for step in range(3):
        now = params | {"n": params["n"] + step}
        _, state = tx.update(updates, state, now)
        average = averaged_params(state)
        assert (int(average["n"]), average["n"].dtype) == (int(now["n"]), jnp.int32)
        assert average["on"].dtype == jnp.bool_


@pytest.mark.parametrize("tx", [weight_ema(0.5, debias=True), stochastic_weight_averaging(0)])
def test_averages_of_complex_parameters(tx):
    state = tx.init(jnp.array([0j]))
    for z in (1 + 2j, 3 - 1j):
        _, state = tx.update(jnp.array([0j]), state, jnp.array([z]))
    swa = type(state).__name__ == "StochasticWeightAveragingState"
    expected = (4 + 1j) / 2 if swa else (0.5 * (1 + 2j) + 1 * (3 - 1j)) / 1.5
    np.testing.assert_allclose(averaged_params(state), [expected], rtol=1e-6)
