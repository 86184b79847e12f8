"""Which programs hold a convolution that a loop would slow down on CPU."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxopt_lab.engine.convolutions import slow_in_loop
from jaxopt_lab.nn import Conv

KINDS = {
    "plain": {},
    "strided": {"strides": 2},
    "1x1": {"kernel_size": (1, 1)},
    "1d": {"kernel_size": (3,)},
    "3d": {"kernel_size": (3, 3, 3)},
    "dilated": {"kernel_dilation": 2},
    "transposed": {"input_dilation": 2, "padding": ((1, 2), (2, 1))},
    "grouped": {"feature_group_count": 2},
    "depthwise": {"feature_group_count": 4},
    "bfloat16": {"dtype": jnp.bfloat16},
}


def _gradient(layer, derivative=1):
    spatial = 4, 5, 6
    x = jnp.ones((2, *spatial[: len(layer.kernel_size)], 4))
    variables = jax.eval_shape(layer.init, jax.random.key(0), x)

    def loss(variables):
        return (layer.apply(variables, x).astype(jnp.float32) ** 4).sum()

    gradient = jax.grad(loss)
    if derivative == 2:
        gradient = jax.grad(lambda v: sum((g**2).sum() for g in jax.tree.leaves(jax.grad(loss)(v))))
    return gradient, variables


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("derivative", [1, 2])
def test_gradient_of_a_flax_conv_is_slow_and_of_ours_is_not(kind, derivative):
    arguments = {"features": 4, "kernel_size": (3, 3), **KINDS[kind]}
    gradient, variables = _gradient(nn.Conv(**arguments), derivative)
    assert slow_in_loop(jax.make_jaxpr(gradient)(variables))
    gradient, variables = _gradient(Conv(**arguments, backward="canonical"), derivative)
    assert not slow_in_loop(jax.make_jaxpr(gradient)(variables))


def test_an_ensemble_is_judged_as_its_members():
    for layer, slow in ((nn.Conv(4, (3, 3)), True), (Conv(4, (3, 3), backward="canonical"), False)):
        gradient, variables = _gradient(layer)
        several = jax.tree.map(lambda a: jax.ShapeDtypeStruct((3, *a.shape), a.dtype), variables)
        assert slow_in_loop(jax.make_jaxpr(jax.vmap(gradient))(several)) is slow


def test_a_perceptron_is_not_slow():
    layer = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
    variables = jax.eval_shape(layer.init, jax.random.key(0), jnp.ones((2, 3)))

    def loss(variables):
        return layer.apply(variables, jnp.ones((2, 3))).sum()

    assert not slow_in_loop(jax.make_jaxpr(jax.grad(loss))(variables))


LABELS = {
    ("NHWC", "HWIO", "NHWC"): False,
    ("NWHC", "WHIO", "NWHC"): False,  # the same, by other names
    ("NWHC", "HWIO", "NWHC"): True,
    ("NCHW", "OIHW", "NCHW"): True,
    ("NHWC", "OIHW", "NHWC"): True,
    ("NHWC", "HWOI", "NHWC"): True,
    ("NHWC", "HWIO", "NCHW"): True,
    ("CHWN", "HWIO", "NHWC"): True,
}


def _convolve(labels=("NCHW", "OIHW", "NCHW")):
    # Square in every axis, so that any labels fit.
    return lambda x: lax.conv_general_dilated(x, x, (1, 1), "SAME", dimension_numbers=labels)


@pytest.mark.parametrize("labels", LABELS, ids="-".join)
def test_labels_decide(labels):
    assert slow_in_loop(jax.make_jaxpr(_convolve(labels))(jnp.ones((3,) * 4))) is LABELS[labels]


@jax.custom_jvp
def _custom_jvp(x):
    return _convolve()(x)


@jax.custom_vjp
def _custom_vjp(x):
    return _convolve()(x)


_custom_jvp.defjvp(lambda x, t: (_convolve()(*x), _convolve()(*t)))
_custom_vjp.defvjp(lambda x: (_convolve()(x), None), lambda _, g: (g,))

NESTS = {
    "jit": jax.jit(_convolve()),
    "scan": lambda x: lax.scan(lambda c, _: (_convolve()(c), None), x, length=2)[0],
    "while": lambda x: lax.while_loop(lambda c: c.sum() < 0, _convolve(), x),
    "while-condition": lambda x: lax.while_loop(lambda c: _convolve()(c).sum() < 0, jnp.sin, x),
    "fori": lambda x: lax.fori_loop(0, 3, lambda i, c: _convolve()(c), x),
    "map": lambda x: lax.map(_convolve(), x[None]),
    "cond": lambda x: lax.cond(x.sum() > 0, jnp.sin, _convolve(), x),
    "checkpoint": jax.checkpoint(_convolve()),
    "custom_jvp": _custom_jvp,
    "custom_vjp": _custom_vjp,
    "jit-scan-cond-checkpoint": lambda x: lax.scan(
        lambda c, _: (
            lax.cond(c.sum() > 0, jnp.sin, jax.checkpoint(jax.jit(_convolve())), c),
            None,
        ),
        x,
        length=2,
    )[0],
}


@pytest.mark.parametrize("nest", NESTS)
def test_found_in_every_nested_program(nest):
    assert slow_in_loop(jax.make_jaxpr(NESTS[nest])(jnp.ones((3,) * 4)))
