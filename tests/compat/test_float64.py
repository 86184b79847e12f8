"""Under x64 the paths are those of NumPy in double precision, by each library's own formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paths import GRADS, PARAMS, after
from references import steps
from references.steps import average, corrected, path, size

from jaxopt_lab.compat import keras, torch


def torch_sgd(s, t, g, p):
    g = g + 0.01 * p
    s["m"] = 0.9 * s["m"] + (0.5 if t > 1 else 1) * g
    return -0.1 * s["m"]


def torch_rmsprop(s, t, g, p):
    spread = average(s, "E", 0.99, size(g)) - size(average(s, "M", 0.99, g))
    s["w"] = 0.9 * s["w"] + g / (np.sqrt(spread) + 1e-8)
    return -0.1 * s["w"]


def torch_adagrad(s, t, g, p):
    s["G"] = s["G"] + size(g)
    return -0.1 / (1 + 0.1 * (t - 1)) * g / (np.sqrt(s["G"]) + 1e-10)


def amsgrad(s, t, g, p):
    m, v = corrected(s, "m", 0.9, g, t), average(s, "v", 0.999, size(g))
    s["s"] = np.maximum(s["s"], v)
    return -0.1 * m / (np.sqrt(s["s"] / (1 - 0.999**t)) + 1e-8)


def torch_adamw(s, t, g, p):
    return -0.1 * 0.3 * p + steps.adam(s, t, g, p, 0.1)


def torch_nadam(s, t, g, p):
    return -0.1 * 0.3 * p + steps.nadam(s, t, g, p, 0.1)


def keras_adam(s, t, g, p):
    m, v = average(s, "m", 0.9, g), average(s, "v", 0.999, size(g))
    rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return -rate * m / (np.sqrt(v) + 1e-7)


def keras_adamw(s, t, g, p):
    return -0.1 * 0.3 * p + keras_adam(s, t, g, p)


def keras_sgd(s, t, g, p):
    """With eta / (1 + 0.1 t), t from 0, and a clip of each tensor's norm."""
    g = g * min(1, 0.7 / np.linalg.norm(g))
    eta = 0.1 / (1 + 0.1 * (t - 1))
    s["m"] = 0.9 * s["m"] - eta * g
    return s["m"]


CASES = {
    "torch.SGD": (torch.SGD(0.1, 0.9, 0.5, 0.01), torch_sgd),
    "torch.RMSprop": (torch.RMSprop(0.1, momentum=0.9, centered=True), torch_rmsprop),
    "torch.Adagrad": (torch.Adagrad(0.1, lr_decay=0.1), torch_adagrad),
    "torch.Adadelta": (torch.Adadelta(0.1, 0.95), lambda *a: steps.adadelta(*a, 0.1)),
    "torch.Adam": (torch.Adam(0.1), lambda *a: steps.adam(*a, 0.1)),
    "torch.Adam, amsgrad": (torch.Adam(0.1, amsgrad=True), amsgrad),
    "torch.AdamW": (torch.AdamW(0.1, weight_decay=0.3), torch_adamw),
    "torch.NAdam": (
        torch.NAdam(0.1, weight_decay=0.3, decoupled_weight_decay=True),
        torch_nadam,
    ),
    "keras.SGD": (keras.SGD(0.1, 0.9, clipnorm=0.7, decay=0.1), keras_sgd),
    "keras.RMSprop": (
        keras.RMSprop(0.1, momentum=0.9, centered=True),
        lambda *a: steps.rmsprop(*a, 0.1, eps=1e-7, momentum=0.9, centered=True),
    ),
    "keras.Adagrad": (
        keras.Adagrad(0.1, initial_accumulator_value=0.0),
        lambda *a: steps.adagrad(*a, 0.1, eps=1e-7),
    ),
    "keras.Adadelta": (keras.Adadelta(0.1), lambda *a: steps.adadelta(*a, 0.1, eps=1e-7)),
    "keras.Adam": (keras.Adam(0.1), keras_adam),
    "keras.AdamW": (keras.AdamW(0.1, weight_decay=0.3), keras_adamw),
    "keras.Nadam": (keras.Nadam(0.1), lambda *a: steps.nadam(*a, 0.1, eps=1e-7, psi=1.0)),
}


@pytest.mark.usefixtures("x64")
def test_paths_are_those_of_numpy():
    params, grads = (list(map(jnp.asarray, tree)) for tree in (PARAMS, GRADS))
    run = jax.jit(lambda p, g: {name: after(tx, p, g) for name, (tx, _) in CASES.items()})
    for name, found in run(params, grads).items():
        expected = path(CASES[name][1], PARAMS, list(zip(*GRADS, strict=True)))
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == jnp.float64
            # Another order of roundings, magnified by what a step divides by.
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13, err_msg=name)


def test_every_optimizer_is_compared():
    names = {f"{lib}.{name}" for lib in ("keras", "torch") for name in globals()[lib].OPTIMIZERS}
    assert {name.split(",")[0] for name in CASES} == names
