"""The controls of the table as the program would build them, and what drives them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import CONTROLS as CASES

from jaxopt_lab.control import CONTROLS
from jaxopt_lab.core.types import Metric
from jaxopt_lab.optimizers import momentum
from jaxopt_lab.testing.transformation import waves

# Watched by those that read metrics: goes down, stands still, goes up, NaN, down at last.
VALUES = [3.0, 2.0, 2.5, float("nan"), 2.5, 1.0]
WRAPPERS = [n for n, f in CONTROLS.items() if "inner" in inspect.signature(f).parameters]
MONITORING = [n for n, f in CONTROLS.items() if "monitor" in inspect.signature(f).parameters]


def every_third(step):
    return step % 3 == 2


def make(name, inner=None, **changes):
    """The control with its case's arguments; wrappers go around a momentum."""
    given = {}
    if name in WRAPPERS:
        given["inner"] = momentum(0.1) if inner is None else inner
    if name == "snapshots":
        given["is_cycle_end"] = every_third
    return CONTROLS[name](**{**given, **CASES[name], **changes})


def metrics(value, ready=True, **others):
    """What the engine gives: the loss of the step and the last evaluation's."""
    found = {"loss": Metric(jnp.float32(1.0), jnp.array(True))}
    found["val_loss"] = Metric(jnp.asarray(value, jnp.float32), jnp.asarray(ready))
    return found | others


def some_grads(params, step=0):
    return waves(params, step)[0]


def run(tx, params, values=VALUES, update=None):
    """Parameters and state after a step for each value of the metric, one after another."""
    update, state = tx.update if update is None else update, tx.init(params)
    for step, value in enumerate(values):
        grads = some_grads(params, step)
        updates, state = update(grads, state, params, metrics=metrics(value))
        params = optax.apply_updates(params, updates)
    return params, state


def scanned(tx, params, values=VALUES):
    """The same in one loop."""

    def body(carry, given):
        params, state = carry
        step, value = given
        updates, state = tx.update(some_grads(params, step), state, params, metrics=metrics(value))
        return (optax.apply_updates(params, updates), state), None

    steps = jnp.arange(len(values))
    return jax.lax.scan(body, (params, tx.init(params)), (steps, jnp.asarray(values)))[0]


def shapes(tree):
    """The structure, and the shapes and dtypes of the leaves."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(x.shape, x.dtype) for x in leaves]


def assert_trees_close(a, b, rtol=1e-6, atol=1e-7):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def assert_trees_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)
