"""What every optimizer of the table keeps, by itself and inside optax's wrappers."""

import functools
import inspect
import typing

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest
from cases import OPTIMIZERS as CASES
from flax import nnx

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import hints, marks
from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.problems import PROBLEMS
from jaxopt_lab.testing import transformation as promises

# Rounding of float32: other programs may fuse otherwise.
TOLERANCES = {"rtol": 1e-5, "atol": 1e-7}


@pytest.fixture(params=OPTIMIZERS, name="name")
def _name(request):
    return request.param


@pytest.fixture(name="make")
def _make(name):
    return functools.partial(make_optimizer, name)


def make_optimizer(name, **changes):
    return OPTIMIZERS[name](**{**CASES[name], **changes})


def given(params, step):
    """Gradients, and extra arguments of which most methods know none."""
    extra = {"value": jnp.array(1.0), "key": jax.random.key(0), "metrics": {}}
    return promises.waves(params, step)[0], extra | {"unknown": jnp.array(0.0)}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_structure_and_dtypes_never_change(make, dtype):
    params = promises.some_params(dtype)
    promises.keeps_structure_and_dtypes(make(), params)
    promises.state_is_wide(make(), params)


def test_bfloat16_parameters_move_as_their_float32_copies_would(make):
    promises.bfloat16_moves_as_float32(make(), promises.some_params())


def test_jit_and_scan_equal_eager(make):
    promises.jit_and_scan_equal_eager(make(), promises.some_params(), given, **TOLERANCES)


def test_vmap_over_the_learning_rate_equals_a_loop(make):
    def final(rate):
        return promises.scanned(make(learning_rate=rate), promises.some_params(), given, 4)[0]

    promises.vmap_equals_loop(final, jnp.array([0.01, 0.1, 0.3]), **TOLERANCES)


def test_one_trace_serves_every_step_and_buffers_may_be_donated(make):
    promises.one_trace(make(), promises.some_params())


@pytest.mark.parametrize("problem", PROBLEMS)
def test_converges(name, make, problem):
    problem = PROBLEMS[problem](**({"steepness": 1.0} if problem == "rosenbrock" else {}))
    promises.converges(make, CASES[name]["learning_rate"], problem)


def test_a_schedule_is_read_at_the_step_from_zero(name, make):
    # Schedule-Free computes them as a difference of parameters: zero but for the last digit.
    # Prodigy begins at a millionth of the rate.
    sizes = {"nothing": 1e-7, "something": 1e-8 if name == "prodigy" else 1e-4}
    promises.reads_its_schedule_from_step_zero(make, promises.some_params(), **sizes)


def test_learning_rate_scale_stands_where_the_rate_does(name, make):
    rate, params = CASES[name]["learning_rate"], promises.some_params()
    promises.scale_stands_where_the_rate_does(make, rate, params, **TOLERANCES)


def test_masked_and_partition(make):
    params = promises.some_params()
    promises.works_masked_and_partitioned(make, params, "scale", rtol=1e-6, atol=1e-7)


def test_multi_steps_applies_the_mean_gradient(make):
    # The mean is accumulated in another order of roundings.
    promises.multi_steps_applies_the_mean(make, promises.some_params(), given, 1e-4)


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
    function, params = OPTIMIZERS[name], promises.some_params()
    static = static_arguments(function)
    promises.hyperparameters_may_be_injected(function, CASES[name], static, params, **TOLERANCES)


def test_injected_iterations_of_muon_are_named():
    tx = optax.inject_hyperparams(OPTIMIZERS["muon"])(0.1)
    with pytest.raises(ArgumentError, match=r"static_args=\('ns_steps',\)"):
        tx.init({"w": jnp.ones((2, 2))})


def test_every_number_may_be_traced(name):
    function, params = OPTIMIZERS[name], promises.some_params()
    static = static_arguments(function)
    promises.numbers_may_be_traced(function, CASES[name], static, params, **TOLERANCES)


def test_chain_with_extra_arguments(make):
    promises.ignores_unknown_extras(make(), promises.some_params(), given)


@pytest.mark.parametrize(
    "params",
    [
        nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param),
        eqx.filter(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.is_inexact_array),
    ],
    ids=["nnx", "equinox"],
)
def test_nnx_and_equinox_parameters(make, params):
    promises.keeps_structure_and_dtypes(make(), params)


def test_state_keeps_the_sharding_of_its_parameters(make):
    promises.state_keeps_the_sharding(make())


def test_parameters_without_leaves(make):
    promises.works_without_leaves(make())


def test_takes_numbers_and_names_what_is_missing(make):
    promises.takes_numbers_and_names_what_is_missing(make())


def test_leaves_whole_numbers_alone(make):
    promises.leaves_whole_numbers_alone(make(), promises.some_params())


def test_zero_gradients_give_finite_updates(make):
    promises.finite_on_zero_gradients(make(), promises.some_params())


def test_rejects_what_is_out_of_range(name):
    promises.rejects_what_is_out_of_range(OPTIMIZERS[name], CASES[name])
