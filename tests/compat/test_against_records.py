"""Trajectories of 200 steps against what Keras 3 and PyTorch were recorded to do."""

import inspect

import numpy as np
import pytest
from references.network import CASES, difference, falling, path, recorded

from jaxopt_lab.compat import keras, torch

TABLES = {"keras": keras.OPTIMIZERS, "torch": torch.OPTIMIZERS}
RATE = {"keras": "learning_rate", "torch": "lr"}
ALL = [(library, i) for library in CASES for i in range(len(CASES[library]))]


def title(value):
    if isinstance(value, int):
        return str(value)
    return value


def make(library, case):
    function, arguments = TABLES[library][case["name"]], dict(case["arguments"])
    if case["falling"]:
        default = inspect.signature(function).parameters[RATE[library]].default
        arguments[RATE[library]] = falling(arguments.get(RATE[library], default))
    return function(**arguments)


def shown(library, case):
    arguments = case["arguments"]
    if library == "keras" and "use_ema" in arguments and "ema_overwrite_frequency" not in arguments:
        return lambda params, state: state.average
    return lambda params, state: params


@pytest.mark.parametrize(("library", "i"), ALL, ids=title)
def test_same_trajectory(library, i):
    case = CASES[library][i]
    found = path(make(library, case), shown(library, case))
    expected = recorded(library)[i]
    assert np.isfinite(expected).all()
    # Equal formulas, other orders of float32 rounding.
    assert difference(found, expected) < 1e-5, case


def test_every_optimizer_and_argument_is_recorded():
    for library, table in TABLES.items():
        for name, function in table.items():
            given = {k for c in CASES[library] if c["name"] == name for k in c["arguments"]}
            assert given, (library, name)
            if name == "SGD":
                own = set(inspect.signature(function).parameters)
                assert own - given <= {"exclude_from_weight_decay"}, (library, own - given)
