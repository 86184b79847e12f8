"""What every second-order optimizer keeps, by itself and inside optax's wrappers."""

import dataclasses
import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import SECOND_ORDER as CASES
from lapack import single_matrices
from second_order.making import problem

from jaxopt_lab import second_order as so
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import hints
from jaxopt_lab.core.tree import cast_like
from jaxopt_lab.testing import transformation as promises
from jaxopt_lab.testing.compare import alike

NEEDS_CURVATURE = [name for name in so.SECOND_ORDER if name not in ("shampoo", "soap")]


@pytest.fixture(params=so.SECOND_ORDER, name="name")
def _name(request):
    return request.param


def make(name, **changes):
    return so.SECOND_ORDER[name](**{**CASES[name], **changes})


def assert_trees_close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def finite(tree):
    return all(jnp.isfinite(x).all() for x in jax.tree.leaves(tree))


def take_steps(tx, params, curvature, keys):
    """A step for each key, in a scan."""

    def body(carry, key):
        params, state = carry
        c = dataclasses.replace(curvature, params=params, key=key)
        updates, state = tx.update(c.gradient(), state, params, curvature=c, value=c.value())
        return (optax.apply_updates(params, updates), state), c.value()

    return jax.lax.scan(body, (params, tx.init(params)), keys)


@functools.cache
def gradient():
    """Of the problem."""
    return jax.jit(problem()[1].gradient)()


@functools.cache
def update_of(name):
    """A fresh optimizer's update, compiled once for all arguments of these shapes."""
    return jax.jit(
        lambda grads, state, params, curvature, rate: make(name, learning_rate=rate).update(
            grads, state, params, curvature=curvature
        )
    )


@functools.cache
def first(name):
    """Parameters, curvature, gradient, state and the first update."""
    params, curvature = problem()
    grads, state = gradient(), make(name).init(params)
    rate = CASES[name]["learning_rate"]
    return params, curvature, grads, state, update_of(name)(grads, state, params, curvature, rate)


def test_structure_and_dtypes_never_change(name):
    params, _, _, state, (updates, new) = first(name)
    alike(updates, params, "updates are like the parameters")
    alike(new, state, "the state never changes")
    assert any(u.any() for u in jax.tree.leaves(updates)) and finite((updates, new))


def test_parameters_and_a_first_state_may_be_donated(name):
    params, _, _, state, _ = first(name)
    leaves = [x for x in jax.tree.leaves((params, state)) if isinstance(x, jax.Array) and x.size]
    assert len({x.unsafe_buffer_pointer() for x in leaves}) == len(leaves), "a leaf is another's"


def test_a_cpu_is_given_one_matrix_at_a_time():
    """As many batches at once as it has threads would wait for ever: `linalg.one_by_one`."""
    params, curvature = problem()
    grads, factoring = gradient(), set()
    for name in so.SECOND_ORDER:

        def update(rate, name=name):
            tx = make(name, learning_rate=rate)
            return tx.update(grads, tx.init(params), params, curvature=curvature)[0]

        if single_matrices(jax.vmap(update), jnp.full(3, 0.1)):
            factoring.add(name)
    assert factoring >= {"newton", "block_natural_gradient", "kfac", "shampoo", "soap"}


def given(params, step):
    """The problem's gradient, and its curvature, restricted to the parameters that are there."""
    _, curvature = problem()
    present = {name: not isinstance(part, optax.MaskedNode) for name, part in params.items()}
    grads = {name: g if present[name] else params[name] for name, g in gradient().items()}
    if all(present.values()):
        curvature = dataclasses.replace(curvature, params=params)
    else:
        curvature = curvature.restrict(present)
    return cast_like(grads, params), {"curvature": curvature}


def test_leaves_whole_numbers_alone(name):
    params, curvature = problem()
    grads = gradient()

    def whole(params, step):
        return grads, {"curvature": dataclasses.replace(curvature, params=params)}

    promises.leaves_whole_numbers_alone(make(name), params, whole)


def test_bfloat16_parameters_move_as_their_float32_copies_would(name):
    params, _ = problem()
    promises.state_is_wide(make(name), jax.tree.map(lambda p: p.astype(jnp.bfloat16), params))
    # A rounding to bfloat16 of two compilations' last digits: one part in 256.
    promises.bfloat16_moves_as_float32(make(name), params, given, 2**-7, 1e-5)


def test_vmap_over_learning_rates_and_seeds_equals_a_loop_of_scans(name):
    params, curvature = problem()
    rates = CASES[name]["learning_rate"] * jnp.array([0.5, 1.0])
    keys = jax.random.split(jax.random.key(3), (2, 3))

    def final(lane):
        tx = make(name, learning_rate=lane["rate"])
        (params_, _), values = take_steps(tx, params, curvature, lane["keys"])
        return params_, values

    # Solves of nearly singular systems magnify roundings, which batching reorders.
    promises.vmap_equals_loop(final, {"rate": rates, "keys": keys}, 1e-3, 1e-3)


def test_masked_and_partition_move_a_part_as_a_restricted_curvature_says(name):
    params, _ = problem()
    promises.works_masked_and_partitioned(lambda: make(name), params, "Dense_1", given, 1e-5, 1e-6)


def test_finite_on_gradients_that_are_not(name):
    params, curvature, grads, state, _ = first(name)
    for wrong in (jnp.nan, jnp.inf, 0.0):
        given = jax.tree.map(lambda g, w=wrong: g * w, grads)
        assert finite(update_of(name)(given, state, params, curvature, 0.1))


def test_finite_on_a_singular_fisher_and_on_data_that_are_not_finite(name):
    params, curvature, grads, state, _ = first(name)
    zero = jax.tree.map(jnp.zeros_like, params)
    for value, p in ((0.0, params), (0.0, zero), (jnp.nan, params)):
        batch = {**curvature.batch, "x": jnp.full_like(curvature.batch["x"], value)}
        c = dataclasses.replace(curvature, params=p, batch=batch)
        assert finite(update_of(name)(grads, state, p, c, 0.1))


def test_batch_of_one(name):
    params, curvature = problem(samples=1)
    grads = jax.jit(curvature.gradient)()
    state = make(name).init(params)
    assert finite(update_of(name)(grads, state, params, curvature, 0.1))


def test_the_loss_falls(name):
    params, curvature = problem(seed=1)
    keys = jax.random.split(jax.random.key(3), 20)
    _, values = jax.jit(lambda p: take_steps(make(name), p, curvature, keys))(params)
    assert values[-1] < 0.7 * values[0]


def test_a_schedule_and_a_scale_stand_where_the_rate_does(name):
    params, curvature, grads, state, (updates, _) = first(name)
    rate = CASES[name]["learning_rate"]

    @jax.jit
    def both(grads, state, params, curvature):
        tx = make(name, learning_rate=lambda k: jnp.where(k == 0, rate / 2, 0.0))
        a, after = tx.update(
            grads, state, params, curvature=curvature, learning_rate_scale=jnp.array(2.0)
        )
        return a, tx.update(grads, after, params, curvature=curvature)[0]

    a, b = both(grads, state, params, curvature)
    assert_trees_close(a, updates, 1e-4)
    assert not any(x.any() for x in jax.tree.leaves(b))


def test_parameters_without_leaves(name):
    _, curvature, _, _, _ = first(name)
    tx = make(name)
    nothing = {"Dense_0": optax.MaskedNode(), "Dense_1": optax.MaskedNode()}
    updates, _ = tx.update(nothing, tx.init(nothing), nothing, curvature=curvature)
    assert updates == nothing


def static_arguments(function):
    """Those that change the structure: keyword-only, and neither a number nor a schedule."""
    parameters = inspect.signature(function).parameters.values()
    types = hints(function)
    return [
        p.name
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY and "float" not in str(types[p.name])
    ]


def test_every_number_may_be_traced_and_injected(name):
    params, curvature, grads, _, _ = first(name)
    function = so.SECOND_ORDER[name]
    bound = inspect.signature(function).bind(**CASES[name])
    bound.apply_defaults()
    static = {k: bound.arguments[k] for k in static_arguments(function)}
    numbers = {k: v for k, v in bound.arguments.items() if isinstance(v, float)}
    assert "learning_rate" in numbers

    def update(numbers):
        tx = function(**numbers, **static)
        return tx.update(grads, tx.init(params), params, curvature=curvature)

    lanes = {k: jnp.full(2, v) for k, v in numbers.items()}
    updates, _ = jax.eval_shape(jax.vmap(update), lanes)
    assert [u.shape for u in jax.tree.leaves(updates)] == [
        (2, *p.shape) for p in jax.tree.leaves(params)
    ]
    tx = optax.inject_hyperparams(function, static_args=list(static))(**CASES[name])
    state = tx.init(params)
    found, new = jax.eval_shape(lambda s: tx.update(grads, s, params, curvature=curvature), state)
    alike(found, params, "updates are like the parameters")
    alike(new, state, "the state never changes")


def test_injection_without_static_arguments_works_or_names_them(name):
    params, curvature, grads, _, _ = first(name)
    tx = optax.inject_hyperparams(so.SECOND_ORDER[name])(**CASES[name])

    def step(params):
        return tx.update(grads, tx.init(params), params, curvature=curvature)

    if name in ("natural_gradient", "newton_cg", "gradient_variance"):
        jax.eval_shape(step, params)
        return
    with pytest.raises(ArgumentError, match="a number of Python, because shapes") as error:
        jax.eval_shape(step, params)
    (fault,) = error.value.faults
    assert f"static_args=('{fault}',)" in str(error.value)
    tx = optax.inject_hyperparams(so.SECOND_ORDER[name], static_args=(fault,))(**CASES[name])
    jax.eval_shape(step, params)


@pytest.mark.parametrize("name", NEEDS_CURVATURE)
def test_says_how_to_give_the_curvature_where_it_is_missing(name):
    tx, params = make(name), {"w": jnp.ones(3)}
    with pytest.raises(InputError, match=rf"{name}.*curvature=second_order\.Curvature\(params"):
        tx.update(params, tx.init(params), params)


def test_rejects_what_is_out_of_range(name):
    promises.rejects_what_is_out_of_range(so.SECOND_ORDER[name], CASES[name])


def test_refuses_complex_parameters(name):
    with pytest.raises(InputError, match=f"{name}: is not defined for complex numbers, got comp"):
        make(name).init({"w": jnp.ones((2, 2), jnp.complex64), "v": jnp.ones(2)})
