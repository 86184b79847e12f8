"""Schedulers and callbacks under their libraries' argument names, against the records of these."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import control
from jaxopt_lab.compat import keras, torch
from jaxopt_lab.core.types import Metric

REFERENCES = pathlib.Path(__file__).parents[1] / "references"
GRADS = {"w": jnp.ones(1)}


def records(name):
    return json.loads((REFERENCES / f"schedules_{name}.json").read_text())["cases"]


def cyclic(*, up, base, peak, down=None, **rest):
    return torch.CyclicLR(base, peak, step_size_up=up, step_size_down=down, **rest)


def restarts(*, cycle, peak, t_mult=1, end=0.0):
    return torch.CosineAnnealingWarmRestarts(peak, T_0=cycle, T_mult=t_mult, eta_min=end)


def one_cycle(*, steps, peak, rise=0.3, anneal="cos", three_phase=False, start=None, end=None):
    start = peak / 25 if start is None else start
    return torch.OneCycleLR(
        peak,
        steps,
        pct_start=rise,
        anneal_strategy=anneal,
        three_phase=three_phase,
        div_factor=peak / start,
        final_div_factor=1e4 if end is None else start / end,
    )


TORCH = {"cyclical": cyclic, "sgdr": restarts, "one_cycle": one_cycle}


@pytest.mark.parametrize(
    "case", [c for c in records("torch") if c["name"] in TORCH], ids=lambda c: c["name"]
)
def test_pytorchs_schedulers(case):
    given = case["arguments"]
    values = jax.jit(jax.vmap(TORCH[case["name"]](**given)))(jnp.array(case["steps"]))
    # float32 roundings of values up to 0.95.
    np.testing.assert_allclose(values, case["values"], rtol=5e-6, atol=3e-7)


def drive(tx, values):
    """The updates of a run in which each step brings a measurement of gradient 1."""

    def body(state, value):
        metrics = {"val_loss": Metric(value, jnp.array(True))}
        updates, state = tx.update(GRADS, state, GRADS, metrics=metrics)
        return state, updates["w"][0]

    state, updates = jax.jit(lambda v: jax.lax.scan(body, tx.init(GRADS), v))(jnp.array(values))
    return state, updates


def metrics_of(case):
    return [math.nan if v is None else v for v in case["metrics"]]


@pytest.mark.parametrize("case", records("plateau")[::12])
def test_plateaus(case):
    given = case["arguments"]
    rate = given["learning_rate"]
    shared = {k: given[k] for k in ("mode", "factor", "patience", "cooldown")}
    if given["rule"] == "keras":
        tx = keras.ReduceLROnPlateau(
            keras.SGD(rate),
            min_delta=given["threshold"],
            min_lr=given["floor"],
            learning_rate=rate,
            **shared,
        )
    else:
        tx = torch.ReduceLROnPlateau(
            torch.SGD(rate),
            threshold=given["threshold"],
            threshold_mode=given["threshold_mode"][:3],
            min_lr=given["floor"],
            lr=rate,
            **shared,
        )
    _, updates = drive(tx, metrics_of(case))
    np.testing.assert_allclose(-updates, case["learning_rates"], rtol=1e-6)


@pytest.mark.parametrize("case", records("early_stopping")[::5])
def test_early_stopping(case):
    given = case["arguments"]
    tx = keras.EarlyStopping(
        keras.SGD(0.5),
        min_delta=given["min_delta"],
        patience=given["patience"],
        mode=given["mode"],
        baseline=given["baseline"],
        start_from_epoch=given["start_from"],
    )
    state, updates = drive(tx, metrics_of(case))
    stopped = np.flatnonzero(updates == 0)
    assert (int(stopped[0]) if len(stopped) else None) == case["stopped_at"]
    assert bool(control.has_stopped(state)) == (case["stopped_at"] is not None)


def test_auto_goes_up_for_accuracies():
    tx = keras.ReduceLROnPlateau(keras.SGD(1.0), "val_accuracy", factor=0.5, patience=1)
    state = tx.init(GRADS)
    for value in (0.5, 0.6, 0.7):
        metrics = {"val_accuracy": Metric(jnp.array(value), jnp.array(True))}
        updates, state = tx.update(GRADS, state, GRADS, metrics=metrics)
    assert updates["w"] == -1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.OneCycleLR(0.1), "total_steps must be given"),
        (lambda: torch.CyclicLR(-0.1, 0.1), "CyclicLR: base_lr must be >= 0"),
        (lambda: torch.CosineAnnealingWarmRestarts(0.1, 0), "T_0 must be >= 1"),
        (lambda: torch.ReduceLROnPlateau(torch.SGD(0.1), "up"), "mode must be 'min' or 'max'"),
        (lambda: torch.ReduceLROnPlateau(optax.scale(0.1)), "takes no extra arguments"),
        (lambda: keras.EarlyStopping(keras.SGD(0.1), patience=-1), "patience must be >= 0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
