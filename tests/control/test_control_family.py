"""What every control of the table keeps, by itself and inside optax's wrappers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import CONTROLS as CASES
from control.making import (
    MONITORING,
    VALUES,
    WRAPPERS,
    assert_trees_close,
    assert_trees_equal,
    make,
    metrics,
    scanned,
    shapes,
    some_grads,
)
from flax import nnx

from jaxopt_lab.control import CONTROLS
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.types import Metric
from jaxopt_lab.optimizers import adam, momentum
from jaxopt_lab.testing import transformation as promises
from jaxopt_lab.testing.transformation import some_params

EXTRAS = {
    "value": jnp.array(1.0),
    "key": jax.random.key(0),
    "metrics": metrics(1.0),
    "grad_fn": lambda params: params,
    "unknown": jnp.array(0.0),
}
PLAIN = optax.GradientTransformation(*optax.sgd(1.0))
WORDS = ("monitor", "mode", "threshold_mode", "rule", "seed", "members", "is_cycle_end")


@pytest.fixture(params=CONTROLS, name="name")
def _name(request):
    return request.param


def given(params, step):
    """Gradients, and metrics that are new at every other step, beside all other extra arguments."""
    value = jnp.asarray(VALUES)[jnp.minimum(step, len(VALUES) - 1)]
    seen = metrics(value, ready=jnp.asarray(step) % 2 == 0)
    return some_grads(params, step), EXTRAS | {"metrics": seen}


def always_new(params, step):
    """The same with metrics that are new at every step."""
    return some_grads(params, step), EXTRAS | {"metrics": metrics(jnp.asarray(VALUES)[step])}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_structure_and_dtypes_never_change(name, dtype):
    params = some_params(dtype)
    promises.keeps_structure_and_dtypes(make(name), params, given, len(VALUES))


def test_the_set_of_metrics_does_not_change_the_state(name):
    """One more name among the metrics, as between training alone and training with evaluation."""
    tx, params = make(name), some_params()
    more = metrics(1.0, val_accuracy=Metric(jnp.array(0.5), jnp.array(True)))
    states = jax.jit(
        lambda p: [
            tx.update(some_grads(p), tx.init(p), p, metrics=m)[1] for m in (metrics(1.0), more)
        ]
    )(params)
    assert_trees_equal(*states)


def test_takes_numbers_and_names_what_is_missing(name):
    promises.takes_numbers_and_names_what_is_missing(make(name), **EXTRAS)


def test_leaves_whole_numbers_alone(name):
    promises.leaves_whole_numbers_alone(make(name), some_params(), always_new)


def test_jit_and_scan_equal_eager(name):
    steps = {"steps": len(VALUES), "rtol": 1e-5, "atol": 1e-6}
    promises.jit_and_scan_equal_eager(make(name), some_params(), always_new, **steps)


def test_vmap_over_metrics_and_gradients_equals_a_loop(name):
    """Each lane reduces, stops, averages and skips on its own."""
    tx, params = make(name), some_params()
    lanes = jnp.array([VALUES, VALUES[::-1], [1.0] * len(VALUES), [float("nan")] * len(VALUES)])

    def final(values):
        return scanned(tx, jax.tree.map(lambda p: p + values[0], params), values)

    lanes = jnp.where(jnp.isnan(lanes[:, :1]), lanes.at[:, 0].set(5.0), lanes)
    promises.vmap_equals_loop(final, lanes, 1e-5, 1e-6)


def test_one_trace_serves_every_step_and_both_can_be_donated(name):
    promises.one_trace(make(name), some_params(), always_new, len(VALUES))


def test_in_a_chain_around_an_optimizer(name):
    params = some_params()
    chains = {
        "gradients": lambda tx: optax.chain(tx, momentum(0.1)),
        "updates": lambda tx: optax.chain(momentum(0.1), tx),
        "wrapper": lambda tx: tx,
    }
    tx = chains[declared(CONTROLS[name]).place](make(name))
    promises.keeps_structure_and_dtypes(tx, params, always_new)
    promises.ignores_unknown_extras(tx, params, always_new)


def test_masked_and_partition(name):
    # These two depend on the order of the leaves.
    joint = name in ("clip_by_global_norm", "add_gradient_noise")
    promises.works_masked_and_partitioned(
        lambda: make(name), some_params(), "scale", always_new, joint=joint
    )


@pytest.mark.parametrize("name", [n for n in CONTROLS if n not in MONITORING])
def test_multi_steps_around_those_that_read_no_metrics(name):
    promises.multi_steps_applies_the_mean(lambda: make(name), some_params(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_around_multi_steps_pass_extra_arguments_inward(name):
    """`MultiSteps.gradient_transformation()` would drop them, and so would a plain wrapper."""
    params = some_params()
    steps = optax.MultiSteps(momentum(0.1), every_k_schedule=1)
    changes = {"every": 1} if name == "multi_steps" else {}
    tx, alone = make(name, steps, **changes), momentum(0.05)
    given = {"metrics": metrics(1.0), "learning_rate_scale": jnp.array(0.5)}
    updates, _ = tx.update(some_grads(params), tx.init(params), params, **given)
    expected, _ = alone.update(some_grads(params), alone.init(params), params)
    assert_trees_close(updates, expected, 1e-5)


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_pass_all_extra_arguments_inward(name):
    seen = {}

    def update(updates, state, params=None, **extra):
        seen.update(extra)
        return updates, state

    inner = optax.GradientTransformationExtraArgs(lambda params: (), update)
    tx, params = make(name, inner), some_params()
    tx.update(some_grads(params), tx.init(params), params, **EXTRAS)
    assert set(EXTRAS) <= set(seen)


@pytest.mark.parametrize("name", sorted(set(WRAPPERS) - {"plateau_learning_rate"}))
@pytest.mark.parametrize("inner", [optax.adam(0.1), optax.add_noise(0.1, 0.5, 0)])
def test_wrappers_take_transformations_without_extra_arguments(name, inner):
    """Such as optax's, of which one keeps a key in its state."""
    params = some_params()
    tx = make(name, inner)
    updates, state = jax.jit(tx.update)(
        some_grads(params), tx.init(params), params, metrics=metrics(1.0)
    )
    assert shapes(updates) == shapes(params)
    assert shapes(state) == shapes(tx.init(params))


@pytest.mark.parametrize("name", [n for n in CONTROLS if n not in WRAPPERS])
def test_inject_hyperparams(name):
    arguments = dict(CASES[name])
    if name == "snapshots":
        arguments["is_cycle_end"] = lambda step: step == 0
    static = [word for word in WORDS if word in CONTROLS[name].__wrapped__.__annotations__]
    promises.hyperparameters_may_be_injected(
        CONTROLS[name], arguments, static, some_params(), always_new
    )


def test_every_number_may_be_traced(name):
    params = some_params()
    numbers = {k: v for k, v in CASES[name].items() if k != "members"}
    traced, plain = jax.jit(
        lambda numbers: (scanned(make(name, **numbers), params), scanned(make(name), params))
    )(numbers)
    assert_trees_close(traced, plain, 1e-5, 1e-6)


@pytest.mark.parametrize(
    "params",
    [
        nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param),
        eqx.filter(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.is_inexact_array),
    ],
    ids=["nnx", "equinox"],
)
def test_nnx_and_equinox_parameters(name, params):
    promises.keeps_structure_and_dtypes(make(name), params, always_new)


def test_state_keeps_the_sharding_of_its_parameters(name):
    promises.state_keeps_the_sharding(make(name, inner=adam(0.1)))


def test_places():
    places = [declared(control).place for control in CONTROLS.values()]
    assert places == sorted(places, key=["gradients", "updates", "wrapper"].index)
    assert {n for n, f in CONTROLS.items() if declared(f).place == "wrapper"} == set(WRAPPERS)


@pytest.mark.parametrize("name", MONITORING)
def test_a_missing_metric_is_named(name):
    tx, params = make(name, monitor="val_los"), some_params()
    state, grads = tx.init(params), some_grads(params)
    with pytest.raises(ValueError, match=rf"{name} watches 'val_los'.*give update"):
        tx.update(grads, state, params)
    with pytest.raises(ValueError, match=r"did you mean 'val_loss'\? Given: loss, val_loss\."):
        jax.jit(tx.update)(grads, state, params, metrics=metrics(1.0))
    with pytest.raises(ValueError, match="Given: none"):
        tx.update(grads, state, params, metrics={})
    with pytest.raises(ValueError, match=r"must be a Metric\(value, ready\), got a float"):
        tx.update(grads, state, params, metrics={"val_los": 1.0})


@pytest.mark.parametrize("name", MONITORING)
def test_a_metric_that_is_never_ready_changes_nothing(name):
    params = some_params()
    tx, plain = make(name), momentum(0.1)
    if declared(CONTROLS[name]).place == "updates":
        tx = optax.chain(plain, tx)

    def step(states, k):
        grads = some_grads(params, k)
        a, one = tx.update(grads, states[0], params, metrics=metrics(k, ready=False))
        b, other = plain.update(grads, states[1], params)
        return (one, other), (a, b)

    start = (tx.init(params), plain.init(params))
    _, (found, expected) = jax.jit(lambda s: jax.lax.scan(step, s, jnp.arange(20)))(start)
    assert_trees_equal(found, expected)


@pytest.mark.parametrize(
    "name", ["weight_ema", "stochastic_weight_averaging", "snapshots", "early_stopping"]
)
def test_missing_parameters_are_named(name):
    tx, params = make(name), some_params()
    with pytest.raises(ValueError, match=f"{name} needs the parameters"):
        tx.update(some_grads(params), tx.init(params), metrics=metrics(1.0))


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        ("clip_by_value", {"max_value": 0.0}, "max_value must be > 0"),
        ("clip_by_norm", {"max_norm": -1.0}, "max_norm must be > 0"),
        ("clip_by_global_norm", {"max_norm": float("nan")}, "max_norm must be"),
        ("add_gradient_noise", {"eta": -0.1}, "eta must be >= 0"),
        ("add_gradient_noise", {"gamma": -0.1}, "gamma must be >= 0"),
        ("add_gradient_noise", {"seed": -1}, "seed must be >= 0"),
        *(
            (name, wrong, text)
            for name in ("reduce_on_plateau", "plateau_learning_rate")
            for wrong, text in (
                ({"factor": 1.0}, r"factor must be in \(0, 1\)"),
                ({"patience": -1}, "patience must be >= 0"),
                ({"mode": "mim"}, "mode must be 'min' or 'max', got 'mim', did you mean 'min'"),
                ({"threshold": -1e-4}, "threshold must be >= 0"),
                ({"threshold_mode": "rel"}, "did you mean 'relative'"),
                ({"cooldown": -1}, "cooldown must be >= 0"),
                ({"floor": -1.0}, "floor must be >= 0"),
                ({"learning_rate": 0.0}, "learning_rate must be > 0"),
                ({"rule": "pytorch"}, "rule must be 'keras' or 'torch'"),
            )
        ),
        (
            "plateau_learning_rate",
            {"inner": optax.GradientTransformation(*optax.sgd(1.0))},
            "inner",
        ),
        ("weight_ema", {"decay": 1.0}, r"decay must be in \[0, 1\)"),
        ("stochastic_weight_averaging", {"start": -1}, "start must be >= 0"),
        ("stochastic_weight_averaging", {"every": 0}, "every must be >= 1"),
        ("snapshots", {"members": 0}, "members must be >= 1"),
        ("skip_not_finite", {"max_consecutive": -1}, "max_consecutive must be >= 0"),
        ("early_stopping", {"patience": -1}, "patience must be >= 0"),
        ("early_stopping", {"mode": "auto"}, "mode must be"),
        ("early_stopping", {"min_delta": -0.1}, "min_delta must be >= 0"),
        ("early_stopping", {"start_from": -1}, "start_from must be >= 0"),
    ],
)
def test_out_of_range(name, wrong, text):
    with pytest.raises(ValueError, match=text):
        make(name, **wrong)


def test_there_is_no_hidden_seed():
    with pytest.raises(TypeError, match="seed"):
        CONTROLS["add_gradient_noise"]()


def test_the_inputs_are_left_as_they_were(name):
    tx, params = make(name), some_params()
    state, grads = tx.init(params), some_grads(params)
    before = jax.tree.map(np.asarray, (state, grads, params))
    tx.update(grads, state, params, metrics=metrics(1.0))
    assert_trees_equal(before, (state, grads, params))
