"""Masks: bools, prefixes of them, functions, and modules that are one or the other."""

import functools

import equinox as eqx
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import compat, losses, optimizers
from jaxopt_lab.core.mask import full_mask, said_of
from jaxopt_lab.second_order import Curvature


class Layer(eqx.Module):
    """A module that can be called, and so can a mask of its structure."""

    kernel: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return x @ self.kernel + self.bias


@flax.struct.dataclass
class Struct:
    kernel: jax.Array
    bias: jax.Array

    def __call__(self, x):
        raise AssertionError("a mask was called")


class AtLeast(eqx.Module):
    """A function of the parameters with a number in it."""

    rank: int

    def __call__(self, params):
        return jax.tree.map(lambda p: p.ndim >= self.rank, params)


def of_rank(rank, params):
    return jax.tree.map(lambda p: p.ndim >= rank, params)


FUNCTIONS = {
    "function": lambda params: of_rank(2, params),
    "partial": functools.partial(of_rank, 2),
    "jax's partial": jax.tree_util.Partial(of_rank, 2),
    "jax's partial of nothing": jax.tree_util.Partial(lambda params: of_rank(2, params)),
    "module": AtLeast(2),
    "none": None,
}


@pytest.fixture(params=[Layer, Struct, dict])
def kind(request):
    return request.param


def by_name(tree):
    return dict(tree) if isinstance(tree, dict) else {"kernel": tree.kernel, "bias": tree.bias}


def params_of(kind):
    return kind(kernel=jnp.full((2, 3), 2.0), bias=jnp.full(3, 2.0))


@pytest.mark.parametrize("true", [True, np.bool_(True), np.array(True), jnp.array(True)])
def test_bools_are_the_mask_though_they_can_be_called(kind, true):
    mask = kind(kernel=true, bias=~np.asarray(true))
    assert by_name(full_mask(mask, params_of(kind))) == {"kernel": True, "bias": False}


@pytest.mark.parametrize("mask", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_are_called(kind, mask):
    found = full_mask(mask, params_of(kind))
    assert jax.tree.structure(found) == jax.tree.structure(params_of(kind))
    assert by_name(found) == {"kernel": True, "bias": False}


def shrunk(tx, params):
    """Which leaves a step without a gradient moves."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = tx.update(zeros, tx.init(params), params)
    return jax.tree.map(lambda u: bool(u.any()), updates)


DECAYING = [
    *("adamw", "nadamw", "lion", "muon", "schedule_free_sgd", "schedule_free_adamw", "prodigy"),
    *("ademamix", "lamb", "lars", "adan"),
]


@pytest.mark.parametrize("name", DECAYING)
def test_every_optimizer_with_a_mask_takes_a_module(name):
    params = params_of(Layer)
    mask = Layer(kernel=False, bias=True)
    make = functools.partial(getattr(optimizers, name), 1.0, mask=mask)
    plain, decayed = (shrunk(make(weight_decay=decay), params) for decay in (0.0, 0.5))
    assert jax.tree.leaves(plain) == [False, False]
    assert jax.tree.leaves(decayed) == [False, True]


def test_what_else_takes_a_mask_takes_a_module():
    params, mask = params_of(Layer), Layer(kernel=False, bias=True)
    assert float(losses.l1(params, weight=1.0, mask=mask)) == 6
    tx = compat.keras.AdamW(0.1, exclude_from_weight_decay=mask)
    assert jax.tree.leaves(shrunk(tx, params)) == [True, False]
    batch = {"x": jnp.ones((4, 2)), "y": jnp.zeros(4, int)}
    loss = lambda outputs, y: optax.softmax_cross_entropy_with_integer_labels(outputs, y)  # noqa: E731
    curvature = Curvature(params, lambda p, b: p(b["x"]), loss, batch, jax.random.key(0))
    part = curvature.restrict(mask).variables
    assert jax.tree.leaves(part)[0].shape == (3,) and len(jax.tree.leaves(part)) == 1
    assert said_of(mask, params) is mask
