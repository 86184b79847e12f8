"""Under x64 controls see and keep float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CONTROLS as CASES
from control.making import make, metrics

from jaxopt_lab.control import early_stopping, plateau_learning_rate, reduce_on_plateau
from jaxopt_lab.core.types import Metric
from jaxopt_lab.optimizers import sgd
from jaxopt_lab.testing import transformation as promises


def watched(tx, values):
    """The state after these measurements, as the first of several lanes."""
    params = jnp.ones(2)

    def body(state, value):
        given = {"val_loss": Metric(value, jnp.array(True))}
        return tx.update(params, state, params, metrics=given)[1], None

    return jax.jit(lambda v: jax.lax.scan(body, tx.init(params), v)[0])(values)


@pytest.mark.usefixtures("x64")
def test_improvements_below_the_digits_of_float32_count():
    values = 1 - 1e-9 * np.arange(6)
    state = watched(early_stopping(sgd(0.1), patience=2), values)
    assert state.best.dtype == jnp.float64
    assert state.best == values[-1]
    assert not state.stopped
    for tx in (
        reduce_on_plateau(patience=2, threshold=0.0),
        plateau_learning_rate(sgd(0.1), patience=2, threshold=0.0),
    ):
        state = watched(tx, values)
        state = getattr(state, "plateau", state)
        assert (state.scale, state.best) == (1, values[-1])
        # Without improvement the factor is 0.1 as float64 has it.
        state = watched(tx, np.ones(4))
        assert getattr(state, "plateau", state).scale == 0.1


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_structure_and_dtypes_never_change(name):
    def given(params, step):
        return promises.waves(params, step)[0], {"metrics": metrics(1.0)}

    params = promises.some_params() | {"wide": jnp.ones(3, float)}
    promises.keeps_structure_and_dtypes(make(name), params, given)
