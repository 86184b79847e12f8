"""What every optimizer of the table keeps, by itself and inside optax's wrappers."""

import functools
import inspect
import typing

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import OPTIMIZERS as CASES
from flax import nnx

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Range, hints, marks
from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.problems import PROBLEMS

STEPS = 4
EXTRAS = {
    "value": jnp.array(1.0),
    "key": jax.random.key(0),
    "metrics": {},
    "unknown": jnp.array(0.0),
}


@pytest.fixture(params=OPTIMIZERS, name="name")
def _name(request):
    return request.param


def make(name, **changes):
    return OPTIMIZERS[name](**{**CASES[name], **changes})


def some_params(dtype=jnp.float32):
    """Matrix, vector, scalar and leaves without elements."""
    return {
        "dense": {
            "kernel": jnp.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3),
            "bias": jnp.ones(3, dtype),
        },
        "scale": jnp.array(0.5, dtype),
        "empty": jnp.zeros((0, 4), dtype),
        "none": {},
    }


def some_grads(params, step=0):
    return jax.tree.map(lambda p: (jnp.cos(3 * p + step)).astype(p.dtype), params)


def run(tx, params, steps=STEPS):
    state = tx.init(params)
    for step in range(steps):
        updates, state = tx.update(some_grads(params, step), state, params, **EXTRAS)
        params = optax.apply_updates(params, updates)
    return params, state


def scanned(tx, params, steps=STEPS):
    def body(carry, step):
        params, state = carry
        updates, state = tx.update(some_grads(params, step), state, params, **EXTRAS)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(body, (params, tx.init(params)), jnp.arange(steps))[0]


@functools.cache
def first_update(name):
    """Of a fresh optimizer, to compare with what a wrapper makes of it."""
    tx, params = make(name), some_params()
    return tx.update(some_grads(params), tx.init(params), params)[0]


def assert_trees_close(a, b, rtol=1e-6, atol=1e-7):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def shapes(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_structure_and_dtypes_never_change(name, dtype):
    tx, params = make(name), some_params(dtype)
    state = jax.eval_shape(tx.init, params)
    assert shapes(tx.init(params)) == shapes(state)
    updates, new = jax.eval_shape(tx.update, some_grads(params), state, params)
    assert shapes(updates) == shapes(params)
    assert shapes(new) == shapes(state)
    floating = [x.dtype for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert all(dtype == jnp.float32 for dtype in floating)


def test_bfloat16_parameters_move_as_their_float32_copies_would(name):
    tx, params = make(name), some_params(jnp.bfloat16)
    wide = jax.tree.map(lambda p: p.astype(jnp.float32), params)
    grads = some_grads(params)
    updates, _ = tx.update(grads, tx.init(params), params)
    grads = jax.tree.map(lambda g: g.astype(jnp.float32), grads)
    expected, _ = tx.update(grads, tx.init(wide), wide)
    rounded = jax.tree.map(lambda u: u.astype(jnp.bfloat16), expected)
    jax.tree.map(np.testing.assert_array_equal, updates, rounded)


def test_jit_and_scan_equal_eager(name):
    tx = make(name)
    # Fusion reorders float32 roundings: a few units in the last place over 4 steps.
    assert_trees_close(
        jax.jit(functools.partial(scanned, tx))(some_params()), run(tx, some_params()), 1e-5
    )


def test_vmap_over_the_learning_rate_equals_a_loop(name):
    rates = jnp.array([0.01, 0.1, 0.3])

    def final(rate):
        return scanned(make(name, learning_rate=rate), some_params())[0]

    one = jax.jit(final)
    loop = jax.tree.map(lambda *x: jnp.stack(x), *[one(rate) for rate in rates])
    assert_trees_close(jax.jit(jax.vmap(final))(rates), loop, 1e-5)


def test_one_trace_serves_every_step_and_buffers_may_be_donated(name):
    tx, params = make(name), some_params()
    traces = 0

    @functools.partial(jax.jit, donate_argnums=(1, 2))
    def step(grads, state, params):
        nonlocal traces
        traces += 1
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    state = tx.init(params)  # eager: no leaf of it may be the buffer of another, or of a parameter
    for k in range(3):
        params, state = step(some_grads(params, k), state, params)
    assert traces == 1


@pytest.mark.parametrize("problem", PROBLEMS)
def test_converges(name, problem):
    problem = PROBLEMS[problem](**({"steepness": 1.0} if problem == "rosenbrock" else {}))
    steps = 2000
    tx = make(name, learning_rate=lambda k: CASES[name]["learning_rate"] * (1 - k / steps))

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(problem.loss)(x), state, x)
        return (optax.apply_updates(x, updates), state), None

    start = (problem.start, tx.init(problem.start))
    (x, _), _ = jax.jit(lambda c: jax.lax.scan(body, c, None, steps))(start)
    assert problem.loss(x) < 1e-3 * problem.loss(problem.start)


def test_a_schedule_is_read_at_the_step_from_zero(name):
    tx = make(name, learning_rate=lambda k: jnp.where(k == 0, 0.0, 0.1))
    params = some_params()
    update = jax.jit(tx.update)
    updates, state = update(some_grads(params), tx.init(params), params)
    # Schedule-Free computes them as a difference of parameters: zero but for the last digit.
    assert all(jnp.all(jnp.abs(u) < 1e-7) for u in jax.tree.leaves(updates))
    updates, _ = update(some_grads(params), state, params)
    smallest = 1e-8 if name == "prodigy" else 1e-4  # Prodigy begins at a millionth of the rate
    assert any(jnp.any(jnp.abs(u) > smallest) for u in jax.tree.leaves(updates))


def test_learning_rate_scale_stands_where_the_rate_does(name):
    params = some_params()

    def last(rate, scale):
        tx = make(name, learning_rate=rate)
        state = tx.init(params)
        p = params
        for step in range(3):
            updates, state = tx.update(
                some_grads(p, step), state, p, learning_rate_scale=scale(step)
            )
            p = optax.apply_updates(p, updates)
        return p

    rate = CASES[name]["learning_rate"]
    scaled = jax.jit(lambda: last(rate, lambda k: jnp.array(1 / (1 + k))))()
    direct = jax.jit(lambda: last(lambda k: rate / (1 + k), lambda k: None))()
    assert_trees_close(scaled, direct, 1e-5)


def test_masked(name):
    params = some_params()
    tx = optax.masked(make(name), {"dense": True, "scale": False, "empty": True, "none": True})
    updates, _ = tx.update(some_grads(params), tx.init(params), params)
    assert_trees_close(updates["dense"], first_update(name)["dense"])
    assert updates["scale"] == some_grads(params)["scale"]


def test_partition(name):
    params = some_params()
    tx = optax.partition(
        {"a": make(name), "b": optax.set_to_zero()},
        {"dense": "a", "scale": "b", "empty": "a", "none": "b"},
    )
    updates, _ = jax.jit(tx.update)(some_grads(params), tx.init(params), params)
    assert_trees_close(updates["dense"], first_update(name)["dense"], 1e-5)
    assert updates["scale"] == 0


def test_multi_steps_applies_the_mean_gradient(name):
    params = some_params()
    tx = optax.MultiSteps(make(name), every_k_schedule=2)
    state, update = tx.init(params), jax.jit(tx.update)
    first, state = update(some_grads(params, 0), state, params, **EXTRAS)
    second, _ = update(some_grads(params, 1), state, params, **EXTRAS)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, some_grads(params, 0), some_grads(params, 1))
    alone = make(name)
    expected, _ = alone.update(mean, alone.init(params), params)
    assert all(not u.any() for u in jax.tree.leaves(first))
    # The mean is accumulated in another order of roundings.
    assert_trees_close(second, expected, 1e-4)


def static_arguments(function):
    """Those that change the structure: keyword-only bools, words and counts."""
    types = {
        name: typing.get_args(hint)[0] if marks(hint) else hint
        for name, hint in hints(function).items()
    }
    parameters = inspect.signature(function).parameters.values()
    keyword_only = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    return [name for name in keyword_only if types[name] in (bool, int, str)]


def test_inject_hyperparams(name):
    params, function = some_params(), OPTIMIZERS[name]
    tx = optax.inject_hyperparams(function, static_args=static_arguments(function))(**CASES[name])
    state = tx.init(params)
    given = {p.name: p.default for p in inspect.signature(function).parameters.values()}
    given |= CASES[name]
    numbers = {k for k, v in given.items() if v is not None} - set(static_arguments(function))
    assert set(state.hyperparams) == numbers
    updates, _ = jax.jit(tx.update)(some_grads(params), state, params)
    assert_trees_close(updates, first_update(name), 1e-5)


def test_every_number_may_be_traced(name):
    function = OPTIMIZERS[name]
    bound = inspect.signature(function).bind(**CASES[name])
    bound.apply_defaults()
    static = static_arguments(function)
    numbers = {
        k: v for k, v in bound.arguments.items() if k not in static and isinstance(v, float | int)
    }
    params = some_params()

    @jax.jit
    def update(numbers):
        tx = function(**numbers)
        return tx.update(some_grads(params), tx.init(params), params)[0]

    assert_trees_close(update(numbers), first_update(name), 1e-5)


def test_chain_with_extra_arguments(name):
    params = some_params()
    tx = optax.chain(optax.clip_by_global_norm(1.0), make(name))
    grads = some_grads(params)
    updates, _ = jax.eval_shape(
        lambda *given: tx.update(*given, **EXTRAS), grads, tx.init(params), params
    )
    assert shapes(updates) == shapes(params)


def test_nnx_and_equinox_parameters(name):
    tx = make(name)
    for params in (
        nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param),
        eqx.filter(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.is_inexact_array),
    ):
        state = tx.init(params)
        grads = jax.tree.map(jnp.ones_like, params)
        updates, new = jax.eval_shape(tx.update, grads, state, params)
        for found, like in ((updates, params), (new, state)):
            assert jax.tree.structure(found) == jax.tree.structure(like)
            assert jax.tree.leaves(shapes(found)) == jax.tree.leaves(shapes(like))


def test_state_keeps_the_sharding_of_its_parameters(name):
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    params = {"w": jax.device_put(jnp.ones((4, 2)), sharding)}
    state = make(name).init(params)
    for leaf in jax.tree.leaves(state):
        if leaf.shape == (4, 2):
            assert leaf.sharding.is_equivalent_to(sharding, 2)


def test_parameters_without_leaves(name):
    tx = make(name)
    updates, _ = tx.update({}, tx.init({}), {})
    assert updates == {}


def test_zero_gradients_give_finite_updates(name):
    params = some_params()
    zeros = jax.tree.map(jnp.zeros_like, params)
    tx = make(name)
    updates, state = jax.jit(tx.update)(zeros, tx.init(params), params)
    assert all(jnp.isfinite(u).all() for u in jax.tree.leaves((updates, state)))


def test_rejects_what_is_out_of_range(name):
    for argument, hint in hints(OPTIMIZERS[name]).items():
        ranges = [m for m in marks(hint) if isinstance(m, Range)]
        for mark in ranges:
            wrong = [float("nan"), -1.0] + [1.0] * (mark.high == 1 and mark.high_open)
            wrong += [0.0] * mark.low_open + [float("inf")] * mark.high_open
            for value in wrong:
                with pytest.raises(ArgumentError, match=f"{name}: {argument} must be "):
                    make(name, **{argument: value})
