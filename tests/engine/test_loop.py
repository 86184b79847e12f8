"""Order, chunks and dispatch: a run's place is one integer, whatever the chunks."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.engine import (
    Batches,
    Forward,
    Objective,
    compile_steps,
    fit,
    init_state,
    make_run_steps,
    make_step,
)
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import cnn, mlp
from jaxopt_lab.optimizers import adam

N = 22


@pytest.fixture(name="data")
def _data():
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(N, 4, 4, 1)).astype(np.float32),
        "y": rng.integers(0, 3, N).astype(np.int32),
    }


MODEL, TX = mlp(3, hidden=[5], dropout=0.2), adam(0.01)
STEP = make_step(Forward(MODEL), Objective(softmax_cross_entropy), TX)


def new_state(seed=0):
    init = jax.jit(
        lambda key: init_state(
            key, Forward(MODEL), TX, jnp.zeros((1, 4, 4, 1)), evaluation=["val_loss"]
        )
    )
    return init(jax.random.key(seed))


def leaves(state):
    return [
        np.asarray(x) for x in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
    ]


def assert_same_bytes(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_an_epoch_sees_every_sample_once_and_the_next_in_another_order():
    key = jax.random.key(0)
    orders = [np.asarray(Batches(5).order(key, jnp.array(e), N)) for e in (0, 1)]
    for order in orders:
        assert sorted(order) == list(range(N))
    assert not np.array_equal(*orders)
    data = {"y": jnp.arange(N)}
    seen = [Batches(5).take(data, jnp.asarray(orders[0]), jnp.array(k))["y"] for k in range(4)]
    np.testing.assert_array_equal(np.concatenate(seen), orders[0][:20])


@pytest.mark.parametrize("batch_size", [1, 5, N])
@pytest.mark.parametrize("steps_per_dispatch", [None, 1, 3])
def test_chunks_of_any_length_give_the_same_bytes(data, batch_size, steps_per_dispatch):
    on_device = jax.device_put(data)
    program = compile_steps(STEP, new_state(), on_device, Batches(batch_size), steps_per_dispatch)
    whole, all_rows, start = new_state(), [], 0
    while start < 9:
        count = min(9 - start, program.most)
        whole, rows = program.advance(whole, start, count)
        all_rows.append(rows["loss"])
        start += count
    pieces, losses = new_state(), []
    for start, count in ((0, 1), (1, 2), (3, 3), (6, 3)):
        pieces, rows = program.advance(pieces, start, count)
        losses.append(rows["loss"])
    assert_same_bytes(whole, pieces)
    np.testing.assert_array_equal(np.concatenate(losses), np.concatenate(all_rows))
    assert len(np.concatenate(losses)) == 9


@pytest.mark.parametrize("place", ["device", "host"])
def test_one_by_one_equals_the_loop(data, place):
    on_device = jax.device_put(data)
    loop = compile_steps(STEP, new_state(), on_device, Batches(5), None)
    there = on_device if place == "device" else data
    single = compile_steps(STEP, new_state(), there, Batches(5), 1)
    assert loop.in_loop and not single.in_loop
    a, rows_a = loop.advance(new_state(), 0, 9)
    b, rows_b = single.advance(new_state(), 0, 9)
    # The same step compiled inside and outside a loop: float32 rounding.
    np.testing.assert_allclose(rows_a["loss"], rows_b["loss"], rtol=1e-5)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), a.params, b.params)


def test_data_on_the_host_is_never_looped(data):
    assert not compile_steps(STEP, new_state(), data, Batches(5), None).in_loop


def test_full_batch_uses_every_sample_in_place(data):
    program = compile_steps(STEP, new_state(), jax.device_put(data), Batches(N))
    state, rows = program.advance(new_state(), 0, 1)
    _, row = jax.jit(STEP)(new_state(), jax.device_put(data))
    np.testing.assert_allclose(rows["loss"][0], row["loss"], rtol=1e-6)
    assert state.step == 1


def test_vmap_over_seeds_equals_runs_alone(data):
    run = make_run_steps(STEP, Batches(5), 16)
    seeds = [0, 1, 2]
    states = jax.tree.map(lambda *x: jnp.stack(x), *[new_state(s) for s in seeds])
    together, rows = jax.jit(jax.vmap(run, (0, None, None, None)))(
        states, jax.device_put(data), 0, 9
    )
    for i, seed in enumerate(seeds):
        alone, row = jax.jit(run)(new_state(seed), jax.device_put(data), 0, 9)
        # Batched matrix products sum in another order.
        np.testing.assert_allclose(rows["loss"][i, :9], row["loss"][:9], rtol=1e-4)
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-4),
            together.params,
            alone.params,
        )


class OneOf:
    """A `Program` around compiled steps, whose evaluation is the step it comes after."""

    waited = 0.0

    def __init__(self, compiled):
        self.compiled, self.most = compiled, compiled.most

    def advance(self, state, start, count):
        state, rows = self.compiled.advance(state, start, count)
        rows = {name: values[None] for name, values in rows.items()}
        return state, rows, np.array([int(state.step)]), np.array([bool(all_finite(state.params))])

    def evaluate(self, state):
        return state, {"val_loss": np.array([float(state.step)])}


def test_fit_evaluates_at_the_same_steps_whatever_the_chunks(data):
    for dispatch in (None, 1, 4):
        on_device = jax.device_put(data)
        program = OneOf(compile_steps(STEP, new_state(), on_device, Batches(5), dispatch))
        chunks = list(fit(program, new_state(), start=0, total=11, evaluate_every=4))
        measured = [(c.end, c.evaluation) for c in chunks if c.evaluation]
        assert measured == [(s, {"val_loss": np.array([float(s)])}) for s in (4, 8, 11)]
        assert sum(c.rows["loss"].shape[1] for c in chunks) == 11
        assert int(chunks[-1].state.step) == 11


def test_a_state_that_is_handed_in_stays_the_users_unless_it_is_donated(data):
    program = OneOf(compile_steps(STEP, new_state(), jax.device_put(data), Batches(5), 4))
    state = new_state()
    before = jax.tree.map(np.array, state.params)
    ends = [list(fit(program, state, start=0, total=6, evaluate_every=None))[-1] for _ in "ab"]
    chex.assert_trees_all_equal(before, state.params)
    chex.assert_trees_all_equal(*(end.state.params for end in ends))


def stopping_at(last):
    """Adam that stops for good after `last` steps, as an early stopping would."""

    def update(grads, state, params=None, **extra):
        inner, count = state
        updates, inner = TX.update(grads, inner, params, **extra)
        updates = jax.tree.map(lambda u: jnp.where(count >= last, 0, u), updates)
        return updates, (inner, count + 1)

    return optax.GradientTransformationExtraArgs(
        lambda params: (TX.init(params), jnp.zeros([], jnp.int32)), update
    )


@pytest.mark.parametrize("dispatch", [None, 1])
@pytest.mark.parametrize("last", [0, 1, 6])
def test_a_stopped_run_is_frozen_whole_and_ends(data, dispatch, last):
    tx, model = stopping_at(last), cnn(3, channels=[4])
    step = make_step(
        Forward(model),
        Objective(softmax_cross_entropy),
        tx,
        stopped=lambda opt_state: opt_state[1] > last,
    )

    def fresh():
        init = jax.jit(lambda key: init_state(key, Forward(model), tx, jnp.zeros((1, 4, 4, 1))))
        return init(jax.random.key(0))

    program = OneOf(compile_steps(step, fresh(), jax.device_put(data), Batches(5), dispatch))
    chunks = list(fit(program, fresh(), start=0, total=50, evaluate_every=3))
    assert chunks[-1].steps[0] < chunks[-1].end and chunks[-1].evaluation is None
    assert int(chunks[-1].state.step) == sum(c.steps[0] - c.start for c in chunks) == last
    alone = make_step(Forward(model), Objective(softmax_cross_entropy), stopping_at(10**6))
    program = compile_steps(alone, fresh(), jax.device_put(data), Batches(5), dispatch)
    expected, _ = program.advance(fresh(), 0, last) if last else (fresh(), None)
    for name in ("params", "model_state"):
        # The same steps in a program that also selects: float32 rounding.
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
            getattr(chunks[-1].state, name),
            getattr(expected, name),
        )
