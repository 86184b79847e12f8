"""Plain deep networks: residual networks without the shortcuts."""

from typing import Annotated

from jaxopt_lab.core.ranges import Count, Decay, Depth, Range, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn.layers import Activation, Init, Layers, Norm
from jaxopt_lab.nn.residual import ResNet, blocks_of, first_width
from jaxopt_lab.nn.weight_standardization import WeightStandardization


@checked
@renamed(classes="outputs")
def plain(
    outputs: Count,
    *,
    depth: Depth = 20,
    width: Annotated[int | None, Range(1)] = None,
    norm: Norm = "batch",
    activation: Activation = "relu",
    init: Init = "he_normal",
    bias_init: float = 0.0,
    dropout: Decay = 0.0,
    weight_standardization: WeightStandardization = "none",
) -> ResNet:
    """The twin of `resnet` without shortcuts, which is hard to train where it is deep.

    To see what shortcuts, normalizations and initializations are for.

        y = phi(norm(W2 phi(norm(W1 x))))

    Args:
      outputs: how many numbers it gives a sample.
      depth: 6 n + 2 for three stages, or 18 or 34 for four, as in `resnet`.
      width: channels of the first stage, which double in each; None for 16, or 64 with 18 and 34.
      norm: after every convolution: "batch", "layer", "group", "instance" or "none".
      activation: phi, by name.
      init: of the kernels, by name.
      bias_init: the value at which biases beside a kernel start.
      dropout: probability of dropping a feature before the dense layer, in [0, 1).
      weight_standardization: of the convolutions: "standard", "scaled" or "none".

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, H, W, C) -> (B, outputs).

    Raises:
      ArgumentError: for an unknown name, a depth that there is not, a number out of its range.

    Reference: He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2.
    """
    layers = Layers(norm, activation, init, bias_init, weight_standardization)
    width = width or first_width(depth)
    return ResNet(outputs, blocks_of("plain", depth), width, "none", False, dropout, layers)
