"""The multilayer perceptron."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import MOST_COUNT, Count, Decay, NonNegative, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn._dropout import Dropout
from jaxopt_lab.nn._gaussian_noise import GaussianNoise
from jaxopt_lab.nn._max_plus import MaxPlus
from jaxopt_lab.nn._maxout import Maxout
from jaxopt_lab.nn.initializers import initializer
from jaxopt_lab.nn.layers import Activation, Init, Layers, flat
from jaxopt_lab.nn.weight_standardization import WeightStandardization

Unit = Literal["dense", "maxout", "max_plus"]


class MLP(nn.Module):
    """Hidden layers on the flattened input; see `mlp`."""

    outputs: int
    hidden: Sequence[int]
    unit: Unit
    pieces: int
    dropout: float
    noise: float
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        x = flat(x)
        x = GaussianNoise(self.noise)(x, train=train)
        for width in self.hidden:
            x = self._hidden(x, width, train)
            x = Dropout(self.dropout)(x, train=train)
        return self.layers.output(self.outputs)(x)

    def _hidden(self, x: jax.Array, width: int, train: bool) -> jax.Array:
        layers = self.layers
        if self.unit == "maxout":
            x = layers.normalize(x, train=train)
            inits = {"kernel_init": initializer(layers.init), "bias_init": layers.bias}
            return Maxout(width, self.pieces, **inits)(x)
        x = layers.normalize(layers.dense(width)(x), train=train)
        return MaxPlus(width)(x) if self.unit == "max_plus" else layers.activate(x)


@checked
@renamed(classes="outputs")
def mlp(
    outputs: Count,
    *,
    hidden: Sequence[Count] = (128, 128),
    unit: Unit = "dense",
    pieces: Count = 2,
    norm: Literal["none", "batch", "layer", "group"] = "none",
    activation: Activation = "relu",
    init: Init = "he_normal",
    bias_init: float = 0.0,
    dropout: Decay = 0.0,
    noise: NonNegative = 0.0,
    weight_standardization: WeightStandardization = "none",
) -> MLP:
    """A multilayer perceptron: dense layers with an activation between them.

    For small inputs and as the plainest network; images are flattened.

        x <- dropout(h(x))  for each hidden layer,    z = W x + b
        h(x) = phi(norm(W x + b))                     dense
        h(x) = max_k W_k norm(x) + b_k                maxout
        h(x)_j = max_i (W x + b)_i + V_ij             max_plus

    Args:
      outputs: how many numbers it gives a sample.
      hidden: width of each hidden layer; empty for a linear model.
      unit: what a hidden layer is: "dense", "maxout" or "max_plus".
      pieces: k, the affine maps of a maxout unit.
      norm: "batch", "layer", "group" or "none"; "instance" needs space, of which there is none.
      activation: phi, by name.
      init: of the kernels, by name.
      bias_init: the value at which biases start.
      dropout: probability of dropping a hidden unit in training, in [0, 1).
      noise: standard deviation of the Gaussian noise on the normalized input, in training.
      weight_standardization: of the hidden layers' kernels: "standard", "scaled" or "none".

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, ...) -> (B, outputs).

    Raises:
      ArgumentError: for an unknown name, or a number out of its range.

    Reference: Rumelhart et al., 1986, https://doi.org/10.1038/323533a0; maxout: Goodfellow et al.,
    2013, https://arxiv.org/abs/1302.4389; max-plus: Zhang et al., 2019,
    https://arxiv.org/abs/1903.08072
    """
    if unit == "maxout" and (widest := max(hidden, default=0) * pieces) > MOST_COUNT:
        text = f"of the widest layer are {widest:,} features, more than {MOST_COUNT:,}: take fewer"
        raise ArgumentError("mlp", {"pieces": text})
    layers = Layers(norm, activation, init, bias_init, weight_standardization)
    return MLP(outputs, tuple(hidden), unit, pieces, dropout, noise, layers)
