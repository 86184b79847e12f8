"""A function put into its family's table is all that a file needs: the wiring knows no name."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError, parse_linear_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.control import CONTROLS
from jaxopt_lab.core.declare import Keeps, declare, reads
from jaxopt_lab.linear import SOLVERS, LinearModel
from jaxopt_lab.losses import LOSSES, METRICS
from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.run.commands.linear import solve
from jaxopt_lab.schedules import SCHEDULES

STEPS = 18


def saw(step_from: int, low: float = 0.5):
    """A schedule: 1, and from a step on `low`; its one cycle ends there."""
    return lambda step: jnp.where(step < step_from, 1.0, low)


def saw_end(step_from: int, low: float = 0.5):
    return lambda step: step == step_from - 1


def crawl(learning_rate, slowness: float = 2.0):
    """An optimizer that trains one point and is evaluated at another, zero."""
    tx = optax.sgd(lambda step: learning_rate(step) / slowness)
    return optax.with_extra_args_support(tx)


def absolute(z, target, scale: float = 1.0):
    """A loss for numbers, whose first two arguments have names of its own."""
    return scale * jnp.abs(z - target).sum(-1)


def hits(outputs, labels):
    """A metric that is better high, whatever its name says."""
    return (outputs.argmax(-1) == labels).astype(jnp.float32)


class FirstState(NamedTuple):
    """The parameters of the first call, and how many calls there were."""

    first: jax.Array
    count: jax.Array


def first_average():
    """An average of the role that a run has one of: it keeps the first parameters."""

    def init(params):
        copied = jax.tree.map(lambda p: jnp.array(p, copy=True), params)
        return FirstState(copied, jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra):
        return updates, FirstState(state.first, state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def stop_after(limit: int, seed, is_cycle_end):
    """A control that the program gives two arguments, and that stops a run."""

    def init(params):
        return FirstState(jnp.asarray(seed), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra):
        assert jnp.asarray(is_cycle_end(0)).dtype == bool
        stopped = state.count >= limit
        updates = jax.tree.map(lambda u: jnp.where(stopped, 0, u), updates)
        return updates, FirstState(state.first, state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def watcher(monitor: str = "val_hits"):
    """A control that watches a metric, and has no mode."""
    return optax.GradientTransformationExtraArgs(*optax.identity())


def watcher_of_max(monitor: str = "val_hits", mode: str = "max"):
    """A control that watches a metric for its maximum."""
    return optax.GradientTransformationExtraArgs(*optax.identity())


def mean_only(X, y):
    """A solver without a lambda."""
    return LinearModel(jnp.zeros((X.shape[1], *y.shape[1:])), y.mean(0))


@pytest.fixture(autouse=True)
def _own(monkeypatch):
    entries = {
        "saw": (SCHEDULES, declare(cycle_end=saw_end)(saw)),
        "crawl": (
            OPTIMIZERS,
            declare(eval_params=lambda s, p: jax.tree.map(jnp.zeros_like, p))(crawl),
        ),
        "absolute": (LOSSES, declare(targets=("numbers",))(absolute)),
        "hits": (METRICS, declare(better="max")(hits)),
        "first_average": (
            CONTROLS,
            declare(
                place="updates", role="average", keeps=Keeps("first", reads(FirstState, "first"))
            )(first_average),
        ),
        "stop_after": (
            CONTROLS,
            declare(
                place="updates",
                given={"seed": "seed", "is_cycle_end": "cycle_end"},
                stopped=lambda state: reads(FirstState, "count")(state) > 5,
            )(stop_after),
        ),
    }
    entries |= {f.__name__: (CONTROLS, f) for f in (watcher, watcher_of_max)}
    entries["mean_only"] = (SOLVERS, mean_only)
    for name, (table, function) in entries.items():
        monkeypatch.setitem(table, name, function)


def config(**tables):
    given = {
        "data": {"name": "digits", "batch_size": 64, "validation": 0.1, "train_size": 256},
        "model": {"name": "linear"},
        "optimizer": {"name": "sgd", "learning_rate": 0.05},
        "train": {"steps": STEPS, "evaluate_every": 6},
        "seed": 7,
    }
    return parse_config(given | tables)


def train(**tables):
    return jaxopt_lab.train(config(**tables), progress=False)


def test_a_schedule_and_an_optimizer_with_other_parameters_to_evaluate():
    result = train(
        optimizer={"name": "crawl", "learning_rate": 0.1, "slowness": 4.0},
        schedule={"name": "saw", "step_from": 10},
    )
    rates = result.history["learning_rate"]
    np.testing.assert_allclose(rates, [0.1] * 10 + [0.05] * (STEPS - 10), rtol=1e-6)
    # At zero every class is as likely as any other.
    np.testing.assert_allclose(result.history["val_loss"], np.log(10), rtol=1e-5)
    assert all((np.asarray(p) == 0).all() for p in jax.tree.leaves(result.params))


def test_an_average_is_kept_and_excludes_its_like():
    result = train(control=[{"name": "first_average"}])
    assert result.summary["kept"] == "first" and set(result.summary["tests"]) == {"last", "first"}
    first = build(config()).init(jax.random.key(7)).params
    # Drawn in one program there and one by one here: float32 rounding.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), result.params, first)
    with pytest.raises(ConfigError, match="one weight_ema or stochastic_weight_averaging or first"):
        train(control=[{"name": "first_average"}, {"name": "weight_ema"}])


def test_a_control_is_given_what_it_declares_and_may_stop_a_run():
    schedule = {"name": "saw", "step_from": 10}
    result = train(control=[{"name": "stop_after", "limit": 5}], schedule=schedule)
    assert (result.stopped_by, result.summary["steps"]) == ("early_stopping", 5)
    with pytest.raises(ConfigError, match=r"it needs one .schedule., cyclical or sgdr or saw"):
        train(control=[{"name": "stop_after", "limit": 5}])
    with pytest.raises(ConfigError, match=r"control\.0\.seed: unknown"):
        train(control=[{"name": "stop_after", "limit": 5, "seed": 3}], schedule=schedule)


def test_a_metric_is_measured_and_better_as_it_says():
    metric = [{"name": "accuracy"}, {"name": "hits"}]
    watching = {"name": "early_stopping", "monitor": "val_hits"}
    result = train(metric=metric, control=[watching])
    assert config(control=[watching]).control[0].arguments["mode"] == "max"
    np.testing.assert_array_equal(result.history["val_hits"], result.history["val_accuracy"])
    assert result.test["hits"] == result.test["accuracy"]
    with pytest.raises(ConfigError, match="must be 'max' for val_hits"):
        train(metric=metric, control=[watching | {"mode": "min"}])
    for name in ("watcher", "watcher_of_max"):
        build(config(metric=metric, control=[{"name": name}]))
    wrong = {"name": "watcher_of_max", "monitor": "val_loss", "mode": "max"}
    with pytest.raises(ConfigError, match="must be 'min' for val_loss"):
        build(config(control=[wrong]))
    plan = parse_sweep(
        {
            "data": {"name": "digits", "batch_size": 64, "train_size": 256},
            "model": {"name": "linear"},
            "optimizer": {"name": "sgd", "learning_rate": 0.05},
            "train": {"steps": STEPS},
            "metric": metric,
            "sweep": {"optimizer.learning_rate": [1e-6, 0.1], "monitor": "val_hits"},
        }
    )
    swept = jaxopt_lab.sweep(plan, progress=False)
    assert swept.best == 1, "more hits are better"


def test_a_loss_says_which_targets_it_is_for():
    numbers = {"name": "digits", "reconstruct": True, "batch_size": 64, "train_size": 256}
    adam = {"name": "adam", "learning_rate": 0.01}
    result = train(data=numbers, loss={"name": "absolute", "scale": 2.0}, optimizer=adam)
    assert set(result.test) == {"loss"}
    assert result.history["loss"][-1] < result.history["loss"][0]
    with pytest.raises(ConfigError, match="absolute is for numbers, the targets are classes"):
        train(loss={"name": "absolute"})


def test_a_linear_solver_of_ones_own():
    tables = {"data": {"name": "digits"}, "linear": {"name": "mean_only"}}
    result = solve(parse_linear_config(tables), progress=False)
    assert result.test["accuracy"] < 0.2
    with pytest.raises(ConfigError, match=r"linear\.name: unknown: 'tikhonov'"):
        parse_linear_config(tables | {"linear": {"name": "tikhonov"}})
