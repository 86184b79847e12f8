"""Layers that are stacked along leading axes move as they do alone."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import losses, optimizers, second_order
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.mask import full_batch_axes, full_mask

LAYERS = 2
METHODS = {
    **{
        name: functools.partial(getattr(optimizers, name), 0.1, weight_decay=0.5)
        for name in (
            *("adamw", "nadamw", "lion", "muon", "schedule_free_sgd", "schedule_free_adamw"),
            *("ademamix", "lamb", "lars", "adan"),
        )
    },
    "shampoo": functools.partial(second_order.shampoo, 0.1, block_size=2),
    "shampoo, sgd": functools.partial(second_order.shampoo, 0.1, graft="sgd"),
    "soap": functools.partial(second_order.soap, 0.1, block_size=2),
}


def tensor(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32)


STACKED = {
    "layers": {
        "kernel": tensor(LAYERS, 2, 4),
        "conv": tensor(LAYERS, 2, 2, 3),
        "scale": tensor(LAYERS, 4),
        "gain": tensor(LAYERS),
    },
    "head": tensor(4, 2),
}
AXES = {"layers": 1, "head": 0}


def layer(i):
    return {**STACKED, "layers": jax.tree.map(lambda x: x[i], STACKED["layers"])}


def path(tx, params, grads):
    """The updates of two steps."""
    state, found = tx.init(params), []
    for step in range(2):
        slopes = jax.tree.map(lambda g, s=step: g * (1 + s) + jnp.cos(g * s), grads)
        updates, state = tx.update(slopes, state, params)
        params = optax.apply_updates(params, updates)
        found.append(updates)
    return found


@pytest.mark.parametrize("name", METHODS)
def test_stacked_layers_move_as_alone(name):
    grads = jax.tree.map(jnp.sin, STACKED)

    def both():
        alone = [
            path(METHODS[name](), layer(i), jax.tree.map(jnp.sin, layer(i))) for i in range(LAYERS)
        ]
        return path(METHODS[name](batch_axes=AXES), STACKED, grads), alone

    together, alone = jax.jit(both)()
    for step, updates in enumerate(together):
        for i in range(LAYERS):
            expected = alone[i][step]
            found = jax.tree.map(lambda x, n=i: x[n], updates["layers"])
            jax.tree.map(
                # float32, whose sums over a layer may be taken in another order.
                lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6),
                {**updates, "layers": found},
                expected,
            )


def test_the_default_mask_looks_at_a_parameter_s_own_rank():
    mask = full_mask(None, STACKED, AXES)
    assert mask["layers"] == {"kernel": True, "conv": True, "scale": False, "gain": False}
    assert mask["head"] and not full_mask(None, STACKED)["layers"]["gain"]
    assert full_mask(None, STACKED)["layers"]["scale"], "without a number of axes it is a matrix"
    by_name = lambda params: jax.tree.map_with_path(  # noqa: E731
        lambda path, x: int(path[0].key == "layers"), params
    )
    assert full_mask(None, STACKED, by_name) == mask
    everywhere = full_mask(None, STACKED["layers"], 1)
    assert everywhere == mask["layers"]
    for penalty in (losses.l1, losses.l2):
        kept = penalty({"k": STACKED["layers"]["kernel"]}, weight=1.0)
        found = penalty(STACKED["layers"] | {"conv": jnp.zeros(0)}, weight=1.0, batch_axes=1)
        np.testing.assert_allclose(found, kept, rtol=1e-6)


def test_layers_of_flax_s_scan():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            return nn.LayerNorm()(nn.Dense(4)(x)), None

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            scan = nn.scan(
                Block,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=LAYERS,
            )
            return nn.Dense(2)(scan()(x, None)[0])

    params = jax.eval_shape(Net().init, jax.random.key(0), jnp.ones((1, 4)))["params"]
    axes = {name: int(name.startswith("Scan")) for name in params}
    mask = full_mask(None, params, axes)
    layers = mask[next(name for name in params if name.startswith("Scan"))]
    assert layers["Dense_0"] == {"kernel": True, "bias": False}
    assert not any(layers["LayerNorm_0"].values())


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        (2, r"a parameter of shape \(2,\) has no 2 leading axes"),
        ({"layers": {"gain": -1}}, r"has no -1 leading axes"),
        ({"layer": 1}, "batch_axes is not built as the parameters"),
        ("a", "whole numbers of Python, got str 'a'"),
        (1.0, "whole numbers of Python, got float 1.0"),
        (jnp.array(1), r"whole numbers of Python, .* static_args=\('batch_axes',\)"),
    ],
)
def test_what_does_not_fit_is_said(axes, text):
    params = {"layers": {"gain": tensor(LAYERS)}}
    with pytest.raises(InputError, match=text):
        full_batch_axes(axes, params)
    with pytest.raises(InputError, match=text):
        optimizers.lamb(0.1, batch_axes=axes).init(params)
