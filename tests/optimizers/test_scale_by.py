"""Every written-out method's direction: optax's of the same meaning, and its optimizer's path."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import OPTIMIZERS as CASES
from references.network import START, difference, loss, path

from jaxopt_lab import optimizers

DIRECTIONS = [name for name in optimizers.__all__ if name.startswith("scale_by_")]

# Ours and optax's, with numbers that neither has by default.
PAIRS = {
    "scale_by_momentum": (optimizers.scale_by_momentum(0.8), optax.trace(0.8)),
    "scale_by_nesterov": (optimizers.scale_by_nesterov(0.8), optax.trace(0.8, nesterov=True)),
    "scale_by_adagrad": (optimizers.scale_by_adagrad(1e-3, 0.2), optax.scale_by_rss(0.2, 1e-3)),
    "scale_by_rmsprop": (optimizers.scale_by_rmsprop(0.8, 1e-3), optax.scale_by_rms(0.8, 1e-3)),
    "scale_by_adadelta": (
        optimizers.scale_by_adadelta(0.8, 1e-3),
        optax.scale_by_adadelta(0.8, 1e-3),
    ),
    "scale_by_adam": (
        optimizers.scale_by_adam(0.8, 0.9, 1e-3),
        optax.scale_by_adam(0.8, 0.9, 1e-3),
    ),
    # optax has no mu schedule: psi -> infinity.
    "scale_by_nadam": (
        optimizers.scale_by_nadam(0.8, 0.9, 1e-3, psi=1e6),
        optax.scale_by_adam(0.8, 0.9, 1e-3, nesterov=True),
    ),
    "scale_by_rmsprop, centered": (
        optimizers.scale_by_rmsprop(0.8, 1e-2, centered=True),
        optax.scale_by_stddev(0.8, 1e-2),
    ),
}


def written_out():
    """The methods with equations of their own here, but for `sgd`, which is only a rate."""
    for name, method in optimizers.OPTIMIZERS.items():
        state = method(**CASES[name]).init(START)
        if name != "sgd" and not isinstance(state, optimizers.FromOptaxState):
            yield name


def test_every_written_out_method_has_its_direction():
    shared = {"adamw": "adam", "nadamw": "nadam"}
    assert {f"scale_by_{shared.get(name, name)}" for name in written_out()} == set(DIRECTIONS)
    assert {name.partition(",")[0] for name in PAIRS} == set(DIRECTIONS)


@pytest.mark.parametrize("name", PAIRS)
def test_the_direction_is_that_of_optax(name):
    def directions(tx):
        tx = optax.with_extra_args_support(tx)

        def body(state, t):
            grads = jax.grad(loss)(START, t)
            found, state = tx.update(grads, state, START, learning_rate_scale=0.5)
            return state, found

        return jax.jit(lambda: jax.lax.scan(body, tx.init(START), jnp.arange(6))[1])()

    ours, theirs = map(directions, PAIRS[name])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), ours, theirs)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_with_a_rate_it_is_the_optimizer(name):
    method, eta = getattr(optimizers, name.removeprefix("scale_by_")), 0.01
    chain = optax.chain(getattr(optimizers, name)(), optax.scale_by_learning_rate(eta))
    # Equal formulas, other orders of float32 rounding.
    assert difference(path(chain, steps=40), path(method(eta), steps=40)) < 1e-5


@pytest.mark.parametrize("name", DIRECTIONS)
def test_bfloat16_gradients_keep_float32_states(name):
    tx = getattr(optimizers, name)()
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), START)
    state = tx.init(params)
    updates, new = jax.jit(tx.update)(params, state)
    assert {u.dtype for u in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}
    dtypes = [x.dtype for x in jax.tree.leaves(new)]
    assert dtypes == [x.dtype for x in jax.tree.leaves(state)]
    assert {d for d in dtypes if d != jnp.int32} == {jnp.dtype(jnp.float32)}
