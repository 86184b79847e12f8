"""The multilayer perceptron."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from jaxopt_lab.core.ranges import Count, Decay, checked
from jaxopt_lab.nn._activations import activation as by_name


class MLP(nn.Module):
    """Dense layers on the flattened input; see `mlp`."""

    classes: int
    hidden: Sequence[int]
    activation: str
    dropout: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        for width in self.hidden:
            x = by_name(self.activation)(nn.Dense(width)(x))
            if self.dropout:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.classes)(x)


@checked
def mlp(
    classes: Count,
    *,
    hidden: Sequence[Count] = (128, 128),
    activation: str = "relu",
    dropout: Decay = 0.0,
) -> MLP:
    """A multilayer perceptron: dense layers with an activation between them.

    For small inputs and as the plainest network; images are flattened.

        x <- dropout(phi(W x + b))  for each hidden layer,    z = W x + b

    Args:
      classes: number of outputs.
      hidden: width of each hidden layer; empty for a linear model.
      activation: phi, by name.
      dropout: probability of dropping a hidden unit in training, in [0, 1).

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, ...) -> (B, classes).

    Raises:
      InputError: for an unknown activation, or a number out of its range.

    Reference: Rumelhart et al., 1986, https://doi.org/10.1038/323533a0
    """
    by_name(activation)
    return MLP(classes, tuple(hidden), activation, dropout)
