"""`[schedule] [optimizer] [[control]]` as one chain: its order, its lengths, its faults."""

import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import control, optimizers, schedules
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.parse import parse_config

CONFIG = """
[data]
name = "digits"
batch_size = 100
validation = 0.2
[model]
name = "mlp"
hidden = [4]
[optimizer]
name = "momentum"
learning_rate = 0.5
[train]
epochs = 4
"""


@pytest.fixture(name="make")
def _make(tmp_path):
    def make(tables="", *overrides):
        path = tmp_path / "config.toml"
        path.write_text(CONFIG + tables)
        return build(load_config(path, overrides))

    make.path = tmp_path / "config.toml"
    return make


def a_step_of(experiment):
    rows = {k: v[: experiment.batch_size] for k, v in experiment.train.items()}
    return experiment.init(jax.random.key(0)), rows


def two_steps(tx, grads):
    params = {"w": jnp.array([1.0, 2.0])}
    state, out = tx.init(params), []
    for _ in range(2):
        updates, state = tx.update(grads, state, params, value=jnp.array(0.0), metrics={})
        out.append(updates["w"])
    return jnp.stack(out)


def test_the_order_of_the_file_does_not_matter(make):
    controls = [
        '[[control]]\nname = "clip_by_value"\nmax_value = 1.0\n',
        '[[control]]\nname = "weight_ema"\n',
    ]
    grads = {"w": jnp.array([3.0, -0.5])}
    expected = two_steps(
        optax.chain(control.clip_by_value(1.0), optimizers.momentum(0.5), control.weight_ema()),
        grads,
    )
    for tables in ("".join(controls), "".join(reversed(controls))):
        np.testing.assert_array_equal(two_steps(make(tables).optimizer, grads), expected)


def test_sam_stands_first_and_takes_the_gradient_anew(make):
    experiment = make(
        '[[control]]\nname = "clip_by_value"\nmax_value = 1.0\n'
        '[[control]]\nname = "sam"\nrho = 0.2\n'
    )
    grad_fn = lambda params: {"w": 2 * params["w"]}  # noqa: E731
    params = {"w": jnp.array([0.3, -0.1])}
    tx = optax.chain(optimizers.sam(0.2), control.clip_by_value(1.0), optimizers.momentum(0.5))
    expected, _ = tx.update(grad_fn(params), tx.init(params), params, grad_fn=grad_fn)
    tx = experiment.optimizer
    found, _ = tx.update(grad_fn(params), tx.init(params), params, grad_fn=grad_fn)
    np.testing.assert_array_equal(found["w"], expected["w"])
    assert jnp.isfinite(jax.jit(experiment.step)(*a_step_of(experiment))[1]["loss"])


def test_momentum_may_cycle_against_the_rate(make):
    triangle = '{ name = "cyclical", up = "1 epoch", peak = 0.85, base = 0.95 }'
    experiment = make("", f"optimizer.momentum = {triangle}")
    up = experiment.steps_per_epoch
    beta = schedules.cyclical(up, peak=0.85, base=0.95)
    grads = {"w": jnp.array([3.0, -0.5])}
    expected = two_steps(optimizers.momentum(0.5, beta), grads)
    np.testing.assert_allclose(two_steps(experiment.optimizer, grads), expected, rtol=1e-6)

    config = load_config(make.path, [f"optimizer.momentum = {triangle}"])
    again = parse_config(tomllib.loads(to_toml(config)))
    assert again.optimizer.arguments["momentum"].arguments["up"] == "1 epoch"

    for wrong, why in {
        '{ name = "cyclical", up = 3, peak = 1.5 }': "optimizer.momentum: at step .* got 1",
        '{ name = "cyclic", up = 3 }': "optimizer.momentum.name: unknown: 'cyclic', did you mean",
        '{ name = "cyclical", upp = 3 }': "optimizer.momentum.upp: unknown",
    }.items():
        with pytest.raises(ConfigError, match=why):
            make("", f"optimizer.momentum = {wrong}")
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate: must be a number"):
        make("", f"optimizer.learning_rate = {triangle}")


def test_wrappers_go_around_everything_and_early_stopping_outermost(make):
    tables = """
    [[control]]
    name = "early_stopping"
    [[control]]
    name = "clip_by_global_norm"
    max_norm = 1.0
    [[control]]
    name = "skip_not_finite"
    [[control]]
    name = "plateau_learning_rate"
    floor = 0.1
    """
    experiment = make(tables)
    state = experiment.init(jax.random.key(0)).opt_state
    names = []
    while hasattr(state, "inner"):
        names.append(type(state).__name__)
        state = state.inner
    assert names == ["EarlyStoppingState", "PlateauLearningRateState", "SkipNotFiniteState"]


def test_lengths_of_schedules_and_controls_are_in_epochs_or_percent(make):
    tables = """
    [schedule]
    name = "step_decay"
    at = ["1 epoch", "50%"]
    factor = 0.5
    [[control]]
    name = "stochastic_weight_averaging"
    start = "75%"
    """
    experiment = make(tables)
    assert experiment.steps_per_epoch == 11
    rate = experiment.learning_rate
    assert [float(rate(k)) for k in (10, 11, 21, 22)] == [0.5, 0.25, 0.25, 0.125]


def test_snapshots_follow_the_schedules_cycles(make):
    tables = '[schedule]\nname = "sgdr"\ncycle = "1 epoch"\n'
    tables += '[[control]]\nname = "snapshots"\nmembers = 3\n'
    experiment = make(tables)
    params = {"w": jnp.zeros(1)}
    state, taken = experiment.optimizer.init(params), []
    for _ in range(23):
        updates, state = experiment.optimizer.update({"w": jnp.ones(1)}, state, params, metrics={})
        params = optax.apply_updates(params, updates)
        taken.append(int(control.snapshots_taken(state)))
    assert np.flatnonzero(np.diff([0, *taken])).tolist() == [10, 21]


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ('[[control]]\nname = "snapshots"', "control.0: snapshots are taken where a cycle ends"),
        (
            '[[control]]\nname = "early_stopping"\nmonitor = "val_los"',
            "control.0.monitor: 'val_los' is not measured, did you mean 'val_loss'",
        ),
        ('[[control]]\nname = "clip_by_norm"', "control.0.max_norm: missing"),
        ('[[control]]\nname = "early_stoping"', "did you mean 'early_stopping'"),
        (
            '[[control]]\nname = "weight_ema"\n'
            '[[control]]\nname = "stochastic_weight_averaging"\nstart = 5',
            "control.1: a run has one weight_ema or stochastic_weight_averaging at most",
        ),
        (
            '[[control]]\nname = "early_stopping"\nmonitor = "val_accuracy"\nmode = "min"',
            "control.0.mode: must be 'max' for val_accuracy",
        ),
        ('[[control]]\nname = "early_stopping"\npatience = -1', "patience: must be >= 0, got -1"),
        (
            '[schedule]\nname = "wsd"\nsteps = 10\nwarmup = 8\ndecay = 8',
            "schedule.0",
        ),
    ],
)
def test_a_control_that_does_not_fit_is_told_with_its_path(make, tables, text):
    with pytest.raises(ConfigError, match=text.replace("[", r"\[")):
        make(tables)


def test_val_metrics_need_a_validation_split(make):
    tables = '[[control]]\nname = "early_stopping"\n'
    with pytest.raises(
        ConfigError, match=r"is not measured: it needs data.validation > 0; there are"
    ):
        make(tables, "data.validation=0.0")


def test_every_optimizer_builds_from_its_name_and_defaults(make):
    for name in optimizers.OPTIMIZERS:
        experiment = make("", f"optimizer.name={name}")
        assert experiment.init(jax.random.key(0)).opt_state is not None
