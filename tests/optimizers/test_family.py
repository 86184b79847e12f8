"""What every optimizer of the table keeps, by itself and inside optax's wrappers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import OPTIMIZERS as CASES
from flax import nnx

from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.problems import PROBLEMS

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


def run(tx, params, steps=5):
    state = tx.init(params)
    for step in range(steps):
        updates, state = tx.update(some_grads(params, step), state, params, **EXTRAS)
        params = optax.apply_updates(params, updates)
    return params, state


def assert_trees_close(a, b, rtol=1e-6, atol=1e-7):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def shapes(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_structure_and_dtypes_never_change(name, dtype):
    tx, params = make(name), some_params(dtype)
    state = tx.init(params)
    updates, new = tx.update(some_grads(params), state, params, **EXTRAS)
    assert shapes(updates) == shapes(params)
    assert shapes(new) == shapes(state)
    assert shapes(jax.eval_shape(tx.init, params)) == shapes(state)


def test_state_is_float32_where_parameters_are_bfloat16(name):
    state = make(name).init(some_params(jnp.bfloat16))
    floating = [x.dtype for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert all(dtype == jnp.float32 for dtype in floating)


def test_jit_equals_eager(name):
    tx = make(name)
    # Fusion reorders float32 roundings: a few units in the last place over 5 steps.
    assert_trees_close(jax.jit(lambda p: run(tx, p))(some_params()), run(tx, some_params()), 1e-5)


def test_vmap_over_the_learning_rate_equals_a_loop(name):
    rates = jnp.array([0.01, 0.1, 0.3])

    def final(rate):
        return run(make(name, learning_rate=rate), some_params())[0]

    loop = jax.tree.map(lambda *x: jnp.stack(x), *[final(rate) for rate in rates])
    assert_trees_close(jax.vmap(final)(rates), loop, 1e-5)


def test_one_trace_serves_every_step(name):
    tx, params = make(name), some_params()
    traces = 0

    @jax.jit
    def step(grads, state, params):
        nonlocal traces
        traces += 1
        return tx.update(grads, state, params)

    state = tx.init(params)
    for k in range(3):
        _, state = step(some_grads(params, k), state, params)
    assert traces == 1


def test_scan_carries_the_state(name):
    tx, params = make(name), some_params()

    def body(carry, step):
        params, state = carry
        updates, state = tx.update(some_grads(params, step), state, params, **EXTRAS)
        return (optax.apply_updates(params, updates), state), None

    (scanned, _), _ = jax.lax.scan(body, (params, tx.init(params)), jnp.arange(5.0))
    assert_trees_close(scanned, run(tx, params)[0], 1e-5)


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
    updates, state = tx.update(some_grads(params), tx.init(params), params)
    assert all(not u.any() for u in jax.tree.leaves(updates))
    updates, _ = tx.update(some_grads(params), state, params)
    assert any(u.any() for u in jax.tree.leaves(updates))


def test_learning_rate_scale_stands_where_the_rate_does(name):
    params = some_params()
    scaled = make(name)
    direct = make(name, learning_rate=0.5 * CASES[name]["learning_rate"])
    a, _ = scaled.update(
        some_grads(params), scaled.init(params), params, learning_rate_scale=jnp.array(0.5)
    )
    b, _ = direct.update(some_grads(params), direct.init(params), params)
    assert_trees_close(a, b)


def test_masked(name):
    params = some_params()
    tx = optax.masked(make(name), {"dense": True, "scale": False, "empty": True, "none": True})
    updates, _ = tx.update(some_grads(params), tx.init(params), params)
    alone = make(name)
    whole, _ = alone.update(some_grads(params), alone.init(params), params)
    assert_trees_close(updates["dense"], whole["dense"])
    assert updates["scale"] == some_grads(params)["scale"]


def test_partition(name):
    params = some_params()
    tx = optax.partition(
        {"a": make(name), "b": optax.set_to_zero()},
        {"dense": "a", "scale": "b", "empty": "a", "none": "b"},
    )
    updates, _ = jax.jit(tx.update)(some_grads(params), tx.init(params), params)
    alone = make(name)
    whole, _ = alone.update(some_grads(params), alone.init(params), params)
    assert_trees_close(updates["dense"], whole["dense"])
    assert updates["scale"] == 0


def test_multi_steps_applies_the_mean_gradient(name):
    params = some_params()
    tx = optax.MultiSteps(make(name), every_k_schedule=2)
    state = tx.init(params)
    first, state = tx.update(some_grads(params, 0), state, params)
    second, _ = tx.update(some_grads(params, 1), state, params)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, some_grads(params, 0), some_grads(params, 1))
    alone = make(name)
    expected, _ = alone.update(mean, alone.init(params), params)
    assert all(not u.any() for u in jax.tree.leaves(first))
    # The mean is accumulated in another order of roundings.
    assert_trees_close(second, expected, 1e-4)


def test_inject_hyperparams(name):
    params = some_params()
    static = [k for k, v in CASES[name].items() if isinstance(v, str | bool)]
    tx = optax.inject_hyperparams(OPTIMIZERS[name], static_args=static)(**CASES[name])
    state = tx.init(params)
    assert "learning_rate" in state.hyperparams
    updates, _ = jax.jit(tx.update)(some_grads(params), state, params)
    alone = make(name)
    expected, _ = alone.update(some_grads(params), alone.init(params), params)
    assert_trees_close(updates, expected, 1e-5)


def test_chain_with_extra_arguments(name):
    params = some_params()
    tx = optax.chain(optax.clip_by_global_norm(1.0), make(name))
    updates, _ = tx.update(some_grads(params), tx.init(params), params, **EXTRAS)
    assert shapes(updates) == shapes(params)


def test_nnx_and_equinox_parameters(name):
    tx = make(name)
    for params in (
        nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param),
        eqx.filter(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.is_inexact_array),
    ):
        state = tx.init(params)
        updates, new = tx.update(some_grads(params), state, params)
        assert shapes(updates) == shapes(params)
        assert shapes(new) == shapes(state)


def test_state_keeps_the_sharding_of_its_parameters(name):
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    params = {"w": jax.device_put(jnp.ones((4, 2)), sharding)}
    for leaf in jax.tree.leaves(make(name).init(params)):
        if leaf.shape == (4, 2):
            assert leaf.sharding.is_equivalent_to(sharding, 2)


def test_rejects_a_rate_that_cannot_move(name):
    for wrong in (-1.0, 0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"{name}: learning_rate must be > 0|in "):
            make(name, learning_rate=wrong)
