"""Activations by name."""

import flax.linen as nn

from jaxopt_lab.core.registry import lookup

ACTIVATIONS = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "tanh": nn.tanh,
    "sigmoid": nn.sigmoid,
}


def activation(name: str):
    """The activation of that name; an `InputError` names the nearest where there is none."""
    return lookup(ACTIVATIONS, name, "activation")
