"""Activations by name."""

from collections.abc import Callable

import flax.linen as nn
import jax

from jaxopt_lab.core.registry import lookup


def prelu(x: jax.Array) -> jax.Array:
    """A leaky ReLU whose slope is learned, one of a layer, at first 0.25.

    Inside a compact method: the slope is a parameter of the module whose method calls it.

    Reference: He et al., 2015, https://arxiv.org/abs/1502.01852, its channel-shared form.

    Differs from: Flax's starts at 0.01, PyTorch's at 0.25.
    """
    return nn.PReLU(negative_slope_init=0.25)(x)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "prelu": prelu,
    "elu": nn.elu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "tanh": nn.tanh,
    "sigmoid": nn.sigmoid,
}


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
    """The activation of that name, `x -> y`; an `InputError` names the nearest where there is none.

    To call inside a compact method, where "prelu" makes its parameter. The slope of "leaky_relu" is
    0.01, and "gelu" is the tanh approximation, as in Flax (PyTorch's is exact unless asked).
    """
    return lookup(ACTIVATIONS, name, "activation")
