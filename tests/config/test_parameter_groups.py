"""`[[group]]` and `layer_decay`: against optax by hand, and what is frozen to the bit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lab
from jaxopt_lab import optimizers
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_tables
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.losses import softmax_cross_entropy

STEPS = 4
BASE = {
    "data": {"name": "digits", "batch_size": 32, "validation": 0.0, "train_size": 128},
    "model": {"name": "mlp", "hidden": [8, 8]},
    "optimizer": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    "train": {"steps": STEPS},
}
SMALL_CNN = {"model": {"name": "cnn", "channels": [4], "norm": "batch"}}


def config(**tables):
    return parse_config(BASE | tables)


@functools.cache
def source():
    return read(config())


def trained(own, steps=STEPS):
    """The states before the first step and after the last, and the rows."""
    experiment = assemble(own, source())
    state = first = jax.jit(experiment.init)(jax.random.key(own.seed))
    step, rows = jax.jit(experiment.step), []
    data = experiment.train
    for k in range(steps):
        rows_of_step = slice(32 * (k % 4), 32 * (k % 4) + 32)
        state, row = step(state, {n: jnp.asarray(v[rows_of_step]) for n, v in data.items()})
        rows.append(row)
    return experiment, first, state, rows


def by_hand(own, labels, transforms, steps=STEPS):
    """The parameters after plain steps with `optax.partition`."""
    experiment = assemble(config(), source())
    params = jax.jit(experiment.init)(jax.random.key(own.seed)).params
    named = jax.tree.unflatten(jax.tree.structure(params), [labels(n) for n in names_of(params)])
    tx = optax.partition(transforms, named)
    state = tx.init(params)

    @jax.jit
    def step(params, state, x, y):
        def loss(params):
            return softmax_cross_entropy(experiment.forward.evaluate(params, {}, x), y).mean()

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for k in range(steps):
        rows = slice(32 * (k % 4), 32 * (k % 4) + 32)
        x, y = (jnp.asarray(experiment.train[n][rows]) for n in ("x", "y"))
        params, state = step(params, state, x, y)
    return params


def names_of(params):
    return list(flatten_with_names(params))


def close(found, expected):
    """One program and another: float32 rounding, which Adam divides by small numbers."""
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-6), found, expected
    )


def test_groups_are_a_partition_of_optax():
    own = config(
        group=[
            {"match": "Dense_0", "freeze": True},
            {"match": "bias", "weight_decay": 0.0, "learning_rate_scale": 3.0},
            {"match": "Dense_2", "optimizer": {"name": "momentum", "learning_rate": 0.02}},
        ]
    )

    def label(name):
        if "Dense_0" in name:
            return "still"
        return "bias" if "bias" in name else "last" if "Dense_2" in name else "rest"

    expected = by_hand(
        own,
        label,
        {
            "still": optax.set_to_zero(),
            "bias": optimizers.adamw(0.03, weight_decay=0.0),
            "last": optimizers.momentum(0.02),
            "rest": optimizers.adamw(0.01, weight_decay=0.1),
        },
    )
    close(trained(own)[2].params, expected)


def test_layers_decay_in_the_order_of_their_use():
    own = config(optimizer=BASE["optimizer"] | {"layer_decay": 0.5})
    rates = {"Dense_0": 0.0025, "Dense_1": 0.005, "Dense_2": 0.01}
    expected = by_hand(
        own,
        lambda name: name.partition("/")[0],
        {name: optimizers.adamw(rate, weight_decay=0.1) for name, rate in rates.items()},
    )
    close(trained(own)[2].params, expected)


@pytest.mark.parametrize("microbatches", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_what_is_frozen_stays_to_the_bit_and_is_not_in_the_norm(microbatches):
    """Weight decay, a penalty, noise and a clip beside it; negative zeros and batch statistics."""
    tables = SMALL_CNN | {
        "group": [{"match": "Conv_0|BatchNorm_0", "freeze": True}],
        "penalty": [{"name": "l2", "weight": 0.1}],
        "control": [
            {"name": "add_gradient_noise", "eta": 0.1},
            {"name": "clip_by_global_norm", "max_norm": 0.5},
        ],
        "train": {"steps": STEPS, "microbatches": microbatches},
    }
    experiment = assemble(config(**tables), source())
    state = jax.jit(experiment.init)(jax.random.key(0))
    kernel = state.params["Conv_0"]["kernel"]
    state.params["Conv_0"]["kernel"] = jnp.where(jnp.abs(kernel) < 0.1, -0.0, kernel)
    first = jax.tree.map(np.asarray, (state.params, state.model_state))
    batch = {k: jnp.asarray(v[:32]) for k, v in experiment.train.items()}
    for _ in range(3):
        state, _ = jax.jit(experiment.step)(state, batch)
    for name, before in flatten_with_names(first).items():
        after = np.asarray(flatten_with_names((state.params, state.model_state))[name])
        still = "Conv_0" in name or "BatchNorm_0" in name
        assert (before.tobytes() == after.tobytes()) == still, name


def test_a_clip_sees_what_trains():
    group = [{"match": "Dense_0", "freeze": True}]
    clip = [{"name": "clip_by_global_norm", "max_norm": 1e-3}]
    plain = {"name": "sgd", "learning_rate": 1.0}
    _, first, state, _ = trained(config(group=group, control=clip, optimizer=plain), steps=1)
    moved = jax.tree.map(lambda a, b: a - b, state.params, first.params)
    # One step at rate 1 is as long as the clip, in float32 differences of numbers of about 1.
    assert float(optax.tree.norm(moved)) == pytest.approx(1e-3, rel=1e-3)


def test_an_average_of_what_is_frozen_keeps_its_statistics():
    tables = SMALL_CNN | {
        "group": [{"match": "BatchNorm_0", "freeze": True}],
        "control": [{"name": "weight_ema", "decay": 0.5}],
    }
    result = jaxopt_lab.train(config(**tables), progress=False)
    statistics = flatten_with_names(result.model_state)
    assert set(np.unique(statistics["batch_stats/BatchNorm_0/mean"])) == {0}
    assert set(np.unique(statistics["batch_stats/BatchNorm_0/var"])) == {1}


SELDOM = [pytest.param(name, marks=pytest.mark.slow) for name in ("muon", "newton_cg", "kfac")]


@pytest.mark.parametrize("name", ["schedule_free_adamw", "sam", *SELDOM])
def test_every_kind_of_optimizer_leaves_a_frozen_layer(name):
    group = [{"match": "Dense_1", "freeze": True}, {"match": "bias", "weight_decay": 0.0}]
    tables = {"group": group[:1], "optimizer": {"name": name, "learning_rate": 0.01}}
    if name == "sam":
        tables = {"group": group, "control": [{"name": "sam", "rho": 0.05}]}
    experiment, first, state, rows = trained(config(**tables))
    params = experiment.eval_params(state.opt_state, state.params)
    for key, before in flatten_with_names(first.params).items():
        after = flatten_with_names(params)[key]
        assert (np.asarray(before).tobytes() == np.asarray(after).tobytes()) == ("Dense_1" in key)
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_a_group_may_read_the_curvature_and_evaluate_an_average():
    own = config(
        group=[
            {"match": "Dense_0", "optimizer": {"name": "kfac", "learning_rate": 0.01}},
            {"match": "Dense_1", "optimizer": {"name": "schedule_free_sgd", "learning_rate": 0.1}},
        ]
    )
    experiment, _, state, _ = trained(own)
    params = experiment.eval_params(state.opt_state, state.params)
    apart = {
        key: not np.array_equal(p, flatten_with_names(state.params)[key])
        for key, p in flatten_with_names(params).items()
    }
    assert all(moved == ("Dense_1" in key) for key, moved in apart.items()), apart


def test_a_run_with_groups_resumes_and_its_sweep_is_one_program(tmp_path):
    group = [
        {"match": "Dense_0", "freeze": True},
        {"match": "bias", "learning_rate_scale": 2.0, "weight_decay": 0.0},
        {"match": "Dense_2", "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    ]
    own = config(group=group, optimizer=BASE["optimizer"] | {"layer_decay": 0.9})
    assert parse_config(to_tables(own)).group[2].optimizer.arguments["learning_rate"] == 0.1
    whole = jaxopt_lab.train(own, tmp_path / "run", progress=False)
    again = jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)
    jax.tree.map(np.testing.assert_array_equal, whole.params, again.params)
    axes = {
        "group.1.learning_rate_scale": [1.0, 2.0],
        "group.1.weight_decay": [0.0, 0.5],
        "group.2.optimizer.learning_rate": [0.1, 0.3],
        "optimizer.layer_decay": [1.0, 0.9],
        "zip": [
            [
                "group.1.learning_rate_scale",
                "group.1.weight_decay",
                "group.2.optimizer.learning_rate",
                "optimizer.layer_decay",
            ]
        ],
    }
    plan = parse_sweep(to_tables(own) | {"sweep": axes})
    assert len(group_runs([run.config for run in plan.runs], lambda config: source())) == 1
    swept = jaxopt_lab.sweep(plan, progress=False)
    alone = jaxopt_lab.train(plan.runs[-1].config, progress=False)
    np.testing.assert_allclose(
        swept.runs[-1].history["loss"], alone.history["loss"], rtol=1e-5
    )  # one program and another


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"group": [{"match": "conv"}]}, "group.0.match: 'conv' matches none of Dense_0/bias, D"),
        (
            {"group": [{"match": "Dense"}, {"match": "bias", "weight_decay": 0.0}]},
            "group.1.match: matches only what groups before it have",
        ),
        ({"group": [{"match": "", "freeze": True}]}, "group: freezes every parameter"),
        ({"group": [{"match": "("}]}, "group.0.match: is no regular expression"),
        ({"group": [{"freeze": True}]}, "group.0.match: missing; a group needs it"),
        (
            {"group": [{"match": "bias", "freeze": True, "weight_decay": 0.0}]},
            "group.0.freeze: leaves nothing to do for weight_decay",
        ),
        (
            {
                "group": [
                    {
                        "match": "bias",
                        "weight_decay": 0.1,
                        "optimizer": {"name": "kfac", "learning_rate": 0.1},
                    }
                ]
            },
            "group.0.weight_decay: kfac takes none; take one of adam",
        ),
        (
            {
                "group": [{"match": "bias", "learning_rate_scale": 2.0}],
                "optimizer": {"name": "schedule_free_sgd", "learning_rate": 0.1},
            },
            "group.0.learning_rate_scale: does not go with schedule_free_sgd",
        ),
        (
            {"optimizer": BASE["optimizer"] | {"layer_decay": 1.5}},
            r"optimizer.layer_decay: must be in \(0, 1\], got 1.5",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_path(tables, text):
    with pytest.raises(ConfigError, match=text):
        assemble(config(**tables), source())
