"""Trajectories of 200 steps of a small network against optax's methods of the same form.

All draws of a method's hyperparameters are lanes of one vmapped run.
"""

import jax
import numpy as np
import optax
import pytest
from references.network import difference, falling, path

from jaxopt_lab import optimizers

# Ours, optax's, and draws of (rate, further numbers).
PAIRS = {
    "sgd": (optimizers.sgd, optax.sgd, [(0.02,), (0.1,), (0.3,)]),
    "momentum": (
        lambda r, b: optimizers.momentum(r, b, rate_inside=False),
        lambda r, b: optax.sgd(r, momentum=b),
        [(0.01, 0.5), (0.03, 0.9), (0.01, 0.95)],
    ),
    "nesterov": (
        optimizers.nesterov,
        lambda r, b: optax.sgd(r, momentum=b, nesterov=True),
        [(0.01, 0.5), (0.03, 0.9), (0.01, 0.95)],
    ),
    "adagrad": (
        lambda r, eps, start: optimizers.adagrad(r, eps, start),
        lambda r, eps, start: optax.adagrad(r, start, eps),
        [(0.01, 1e-7, 0.1), (0.1, 1e-3, 0.01), (0.05, 1e-8, 0.0)],
    ),
    "rmsprop": (
        optimizers.rmsprop,
        optax.rmsprop,
        [(1e-3, 0.9, 1e-8), (0.01, 0.95, 1e-4), (0.02, 0.99, 1e-2)],
    ),
    "rmsprop, centered": (
        lambda r, rho, eps: optimizers.rmsprop(r, rho, eps, centered=True),
        lambda r, rho, eps: optax.rmsprop(r, rho, eps, centered=True),
        [(1e-3, 0.9, 1e-3), (3e-3, 0.95, 1e-2), (1e-2, 0.99, 1e-2)],
    ),
    "rmsprop, momentum": (
        lambda r, b: optimizers.rmsprop(r, 0.9, 1e-3, b),
        lambda r, b: optax.rmsprop(r, 0.9, 1e-3, momentum=b),
        [(1e-3, 0.9), (3e-3, 0.8), (1e-2, 0.5)],
    ),
    "adadelta": (
        optimizers.adadelta,
        optax.adadelta,
        [(1.0, 0.9, 1e-6), (0.5, 0.95, 1e-4), (3.0, 0.8, 1e-7)],
    ),
    "adam": (
        optimizers.adam,
        optax.adam,
        [(1e-3, 0.9, 0.999, 1e-8), (0.02, 0.8, 0.99, 1e-4), (0.05, 0.9, 0.999, 1e-8)],
    ),
    "adamw": (
        lambda r, lam: optimizers.adamw(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.adamw(r, weight_decay=lam),
        [(1e-3, 0.1), (0.02, 0.01), (0.05, 0.03)],
    ),
    "adamw, mask": (
        lambda r, lam: optimizers.adamw(r, weight_decay=lam),
        lambda r, lam: optax.adamw(
            r, weight_decay=lam, mask={"w1": True, "b1": False, "w2": True, "b2": False}
        ),
        [(1e-3, 0.1), (0.02, 0.01), (0.05, 0.03)],
    ),
    # optax has no mu schedule: psi -> infinity.
    "nadam": (
        lambda r, b1, b2, eps: optimizers.nadam(r, b1, b2, eps, psi=1e6),
        optax.nadam,
        [(1e-3, 0.9, 0.999, 1e-8), (0.02, 0.8, 0.99, 1e-4), (0.05, 0.9, 0.999, 1e-8)],
    ),
    "nadamw": (
        lambda r, lam: optimizers.nadamw(r, weight_decay=lam, mask=True, psi=1e6),
        lambda r, lam: optax.nadamw(r, weight_decay=lam),
        # At a rate of 0.05 the run is unstable: one rounding grows tenfold in 20 steps.
        [(1e-3, 0.1), (0.02, 0.01), (0.03, 0.03)],
    ),
    "lion": (
        lambda r, lam: optimizers.lion(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.lion(r, weight_decay=lam),
        [(1e-4, 0.1), (1e-3, 0.01)],
    ),
    "muon": (
        lambda r, b: optimizers.muon(r, b),
        lambda r, b: optax.contrib.muon(r, beta=b),
        [(1e-3, 0.95), (0.01, 0.9)],
    ),
    "schedule_free_sgd": (
        optimizers.schedule_free_sgd,
        lambda r, b: optax.contrib.schedule_free_sgd(r, b1=b),
        [(0.1, 0.9), (0.3, 0.8)],
    ),
    "schedule_free_adamw": (
        lambda r, lam: optimizers.schedule_free_adamw(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.contrib.schedule_free_adamw(r, weight_decay=lam),
        [(1e-3, 0.1), (0.02, 0.01)],
    ),
    "prodigy": (
        lambda r, lam: optimizers.prodigy(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.contrib.prodigy(r, weight_decay=lam),
        [(1.0, 0.0), (0.5, 0.1)],
    ),
    "ademamix": (
        lambda r, b3, a: optimizers.ademamix(r, b3=b3, alpha=a),
        lambda r, b3, a: optax.contrib.ademamix(r, b3=b3, alpha=a),
        [(1e-3, 0.9999, 5.0), (5e-3, 0.99, 2.0)],
    ),
    "lamb": (
        lambda r, lam: optimizers.lamb(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.lamb(r, weight_decay=lam),
        # At a rate of 0.02 the run is unstable: one rounding, after 20 steps without any, grows by
        # 40,000 in the next 150, in float64 as in float32.
        [(1e-3, 0.1), (0.01, 0.01)],
    ),
    "lars": (
        lambda r, lam: optimizers.lars(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.lars(r, weight_decay=lam),
        [(1.0, 0.1), (5.0, 0.01)],
    ),
    "radam": (optimizers.radam, optax.radam, [(1e-3, 0.9, 0.999), (0.02, 0.8, 0.99)]),
    "adan": (
        lambda r, lam: optimizers.adan(r, weight_decay=lam, mask=True),
        lambda r, lam: optax.adan(r, weight_decay=lam),
        [(1e-3, 0.1), (0.02, 0.01)],
    ),
    "adabelief": (
        lambda r, b1, eps: optimizers.adabelief(r, b1, 0.999, eps),
        lambda r, b1, eps: optax.adabelief(r, b1, 0.999, eps, eps),
        [(1e-3, 0.9, 1e-16), (0.02, 0.8, 1e-8)],
    ),
}

# Of Nesterov's method optax has another form where the rate changes. The modern methods take all
# rates in one way, of which three are enough.
CHANGING = [name for name in PAIRS if name != "nesterov"]
CHANGING = [*CHANGING[: CHANGING.index("lion") + 1], "lars", "prodigy"]


@pytest.mark.parametrize("pair", PAIRS)
def test_same_trajectory(pair):
    ours, theirs, draws = PAIRS[pair]
    numbers = [np.array(column, np.float32) for column in zip(*draws, strict=True)]
    both = lambda *n: (path(ours(*n)), path(theirs(*n)))  # noqa: E731
    found, expected = jax.jit(jax.vmap(both))(*numbers)
    assert np.isfinite(expected).all()
    # Equal formulas, other orders of float32 rounding.
    for draw, a, b in zip(draws, found, expected, strict=True):
        assert difference(a, b) < 1e-5, draw


@pytest.mark.parametrize("pair", CHANGING)
def test_same_trajectory_with_numbers_and_a_falling_rate(pair):
    ours, theirs, draws = PAIRS[pair]
    rate, *others = draws[-1]
    found, expected = jax.jit(lambda: [path(f(falling(rate), *others)) for f in (ours, theirs)])()
    assert difference(found, expected) < 1e-5


def test_every_method_is_compared():
    assert {pair.split(",")[0] for pair in PAIRS} == set(optimizers.OPTIMIZERS)


def test_the_two_forms_of_momentum_part_when_the_rate_changes():
    inside = path(optimizers.momentum(falling(0.03), 0.9))
    outside = path(optimizers.momentum(falling(0.03), 0.9, rate_inside=False))
    assert difference(inside, outside) > 1e-3


def test_nadam_without_its_momentum_schedule_is_another_method():
    assert difference(path(optimizers.nadam(0.01)), path(optax.nadam(0.01))) > 1e-3
