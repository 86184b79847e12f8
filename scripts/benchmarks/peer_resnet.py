"""ResNet-20 for 32x32 images as others write it: what the benchmarks compare ours with.

He et al., 2016, section 4.2, with identity shortcuts; 269,722 parameters each.
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
    import torch
    from torch.nn import functional

    class Block(torch.nn.Module):
        def __init__(self, inputs, width):
            super().__init__()
            self.stride, self.added = (2, width - inputs) if width > inputs else (1, 0)
            conv, norm = torch.nn.Conv2d, torch.nn.BatchNorm2d
            self.conv1 = conv(inputs, width, 3, self.stride, 1, bias=False)
            self.conv2 = conv(width, width, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = norm(width), norm(width)

        def forward(self, x):
            y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
            if self.added:
                x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))
            return functional.relu(x + y)

    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    stem = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    blocks = [Block(a, b) for a, b in itertools.pairwise(widths)]
    pool = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)
    start = stem, torch.nn.BatchNorm2d(16), torch.nn.ReLU()
    return torch.nn.Sequential(*start, *blocks, *pool)
