"""Schedules against those of Keras and PyTorch, recorded by scripts/record_schedules.py."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.schedules import SCHEDULES

REFERENCES = pathlib.Path(__file__).parents[1] / "references"
CASES = [
    pytest.param(case, id=f"{library}.{case['name']}.{i}")
    for library in ("keras", "torch")
    for i, case in enumerate(
        json.loads((REFERENCES / f"schedules_{library}.json").read_text())["cases"]
    )
]


@pytest.mark.parametrize("case", CASES)
def test_same_values(case):
    schedule = SCHEDULES[case["name"]](**case["arguments"])
    values = jax.jit(jax.vmap(schedule))(jnp.array(case["steps"]))
    # float32 roundings of values up to 0.95, theirs too where they are Keras'.
    np.testing.assert_allclose(values, case["values"], rtol=2e-6, atol=3e-7)


def test_the_records_hold_what_they_should():
    names = {param.values[0]["name"] for param in CASES}
    assert names == {
        "cosine_decay",
        "cyclical",
        "exponential_decay",
        "inverse_time_decay",
        "one_cycle",
        "polynomial_decay",
        "sgdr",
        "step_decay",
    }
