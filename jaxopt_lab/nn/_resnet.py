"""Residual networks for small images."""

from typing import Annotated, Literal

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Count, Decay, Depth, Range, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn.layers import Activation, Init, Layers, Norm
from jaxopt_lab.nn.residual import ResNet, blocks_of, first_width
from jaxopt_lab.nn.weight_standardization import WeightStandardization


@checked
@renamed(classes="outputs")
def resnet(
    outputs: Count,
    *,
    depth: Depth = 20,
    width: Annotated[int | None, Range(1)] = None,
    shortcut: Literal["auto", "identity", "projection"] = "auto",
    zero_init: bool = False,
    norm: Norm = "batch",
    activation: Activation = "relu",
    init: Init = "he_normal",
    bias_init: float = 0.0,
    dropout: Decay = 0.0,
    weight_standardization: WeightStandardization = "none",
) -> ResNet:
    """A residual network of basic blocks, for 32x32 images and their like.

    The standard network of CIFAR-10: `resnet(10)` has 0.27 million parameters, depth 32, 44, 56 and
    110 have 0.46, 0.66, 0.85 and 1.7, depth 18 has 11.2.

        y = phi(norm(W2 phi(norm(W1 x))) + x)

    Args:
      outputs: how many numbers it gives a sample.
      depth: 6 n + 2 for three stages of n blocks, or 18 or 34 for the four stages of ImageNet's
        networks, here after a 3x3 convolution in place of their 7x7 and pooling.
      width: channels of the first stage, which double in each; None for the paper's 16, or 64
        with depth 18 and 34.
      shortcut: where the shape changes: "identity" drops pixels and adds channels of zeros (A in
        the paper), "projection" is a 1x1 convolution (B); "auto" is A, and B for 18 and 34.
      zero_init: start the last scale of each block at zero, so that it is the identity; without
        `norm`, its last kernel.
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

    Reference: He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2; `zero_init`:
    Goyal et al., 2017, https://arxiv.org/abs/1706.02677
    """
    if shortcut == "auto":
        shortcut = "projection" if depth in (18, 34) else "identity"
    if zero_init and norm == "none" and weight_standardization != "none":
        text = "has no scale to start at zero without norm, and a zero kernel has no standard form"
        raise ArgumentError("resnet", {"zero_init": text})
    layers = Layers(norm, activation, init, bias_init, weight_standardization)
    blocks = blocks_of("resnet", depth)
    return ResNet(
        outputs, blocks, width or first_width(depth), shortcut, zero_init, dropout, layers
    )
