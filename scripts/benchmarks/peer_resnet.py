"""Residual networks for 32x32 images as others write them: what the benchmarks compare ours with.

ResNet-20: He et al., 2016, section 4.2, with identity shortcuts; 269,722 parameters each.
"""

import itertools

import flax.linen as nn
import jax.numpy as jnp


class FlaxResNet20(nn.Module):
    """With Flax's own layers."""

    @nn.compact
    def __call__(self, x, *, train=False):
        def norm(x):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

        x = nn.relu(norm(nn.Conv(16, (3, 3), use_bias=False)(x)))
        for width in (16, 32, 64):
            for block in range(3):
                stride = 2 if block == 0 and width > 16 else 1
                y = nn.Conv(width, (3, 3), (stride, stride), use_bias=False)(x)
                y = norm(nn.Conv(width, (3, 3), use_bias=False)(nn.relu(norm(y))))
                if stride == 2:
                    x = jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, width // 2)))
                x = nn.relu(x + y)
        return nn.Dense(10)(x.mean((1, 2)))


def torch_resnet20():
    """With PyTorch's layers, on (B, 3, 32, 32)."""
    return _torch_resnet([16, 16, 16, 16, 32, 32, 32, 64, 64, 64])


def torch_resnet18():
    """The four stages of ImageNet's network after a 3x3 convolution; 11,173,962 parameters."""
    return _torch_resnet([64, 64, 64, 128, 128, 256, 256, 512, 512], projection=True)


def _torch_resnet(widths, projection=False):
    """Blocks from each width to the next, after a convolution to the first."""
    import torch
    from torch.nn import functional

    conv, norm = torch.nn.Conv2d, torch.nn.BatchNorm2d

    class Block(torch.nn.Module):
        def __init__(self, inputs, width):
            super().__init__()
            self.stride, self.added = (2, width - inputs) if width > inputs else (1, 0)
            self.conv1 = conv(inputs, width, 3, self.stride, 1, bias=False)
            self.conv2 = conv(width, width, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = norm(width), norm(width)
            if self.added and projection:
                fit = conv(inputs, width, 1, 2, bias=False), norm(width)
                self.shortcut = torch.nn.Sequential(*fit)

        def forward(self, x):
            y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
            if self.added and projection:
                x = self.shortcut(x)
            elif self.added:
                x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))
            return functional.relu(x + y)

    stem = conv(3, widths[0], 3, 1, 1, bias=False)
    blocks = [Block(a, b) for a, b in itertools.pairwise(widths)]
    pool = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(widths[-1], 10)
    start = stem, norm(widths[0]), torch.nn.ReLU()
    return torch.nn.Sequential(*start, *blocks, *pool)
