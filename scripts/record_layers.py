"""Record what PyTorch's layers compute, in float64, for tests/references/layers_torch.npz.

The ordinary tests compare `jaxopt_lab.nn` with the record and need no PyTorch. To record anew, or
to check live that the record is true (the extra `parity` brings the library):

    python scripts/record_layers.py [--check]

An entry is `layer/what`: the inputs, the outputs y of each call, and the gradients of
sum(sin(y)), which no affine map makes trivial. Images and kernels lie in Flax's order of axes.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RECORD = Path(__file__).parents[1] / "tests" / "references" / "layers_torch.npz"
SHAPE = (3, 6, 4, 2)  # B, C, H, W


def channels_last(x: np.ndarray) -> np.ndarray:
    """(B, C, H, W) -> (B, H, W, C), anything else as it is."""
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def with_gradients(call: Callable[..., Any], inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    """The inputs, the output of `call(**inputs)` and the gradient in each input."""
    import torch  # pyright: ignore[reportMissingImports]

    leaves = {name: torch.tensor(v, requires_grad=True) for name, v in inputs.items()}
    y = call(**leaves)
    torch.sin(y).sum().backward()
    row = {"y": y.detach().numpy()}
    for name, leaf in leaves.items():
        row |= {name: leaf.detach().numpy(), f"d{name}": leaf.grad.numpy()}
    return row


def normalizations() -> dict[str, np.ndarray]:
    """Of one image batch; BatchNorm in training, its running statistics, then in evaluation."""
    import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng(0)
    inputs = {
        "x": 3 + 2 * rng.normal(size=SHAPE),
        "scale": 1 + 0.3 * rng.normal(size=SHAPE[1]),
        "bias": 0.3 * rng.normal(size=SHAPE[1]),
    }
    batch = nn.BatchNorm2d(SHAPE[1], momentum=0.1, affine=False).double()

    def evaluated(x, scale, bias):
        mean, var = batch.running_mean, batch.running_var
        return F.batch_norm(x, mean, var, scale, bias, training=False, eps=batch.eps)

    def trained(x, scale, bias):
        mean, var = batch.running_mean, batch.running_var
        return F.batch_norm(x, mean, var, scale, bias, training=True, momentum=0.1, eps=batch.eps)

    def grouped(groups):
        return lambda x, scale, bias: F.group_norm(x, groups, scale, bias)

    def layer(x, scale, bias):  # PyTorch's scale is of (C, H, W): here the same at each pixel
        wide = [v.reshape(-1, 1, 1).expand(SHAPE[1:]) for v in (scale, bias)]
        return F.layer_norm(x, SHAPE[1:], *wide)

    def instance(x, scale, bias):
        return F.instance_norm(x, weight=scale, bias=bias)

    record = {}
    for name, call in (
        ("batch_train", trained),
        ("batch_eval", evaluated),
        ("group", grouped(2)),
        ("layer", layer),
        ("instance", instance),
    ):
        row = with_gradients(call, inputs)
        record |= {f"{name}/{key}": channels_last(value) for key, value in row.items()}
    record["batch_eval/mean"] = batch.running_mean.numpy()
    record["batch_eval/var"] = batch.running_var.numpy()  # unbiased
    return record


def standardized_convolutions() -> dict[str, np.ndarray]:
    """Two groups, a 3 x 2 window, with standardized weights; kernels are recorded as HWIO."""
    import torch  # pyright: ignore[reportMissingImports]
    import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng(1)
    inputs = {
        "x": rng.normal(size=SHAPE),
        "kernel": 0.2 + 0.5 * rng.normal(size=(4, 3, 3, 2)),
        "bias": rng.normal(size=4),
    }
    gain = {"gain": 1 + 0.3 * rng.normal(size=4)}

    def standard(x, kernel, bias):
        rows = kernel.flatten(1)
        std, mean = torch.std_mean(rows, dim=1, keepdim=True, correction=0)
        return F.conv2d(x, ((rows - mean) / (std + 1e-5)).view_as(kernel), bias, groups=2)

    def scaled(x, kernel, bias, gain):  # the authors' code, in PyTorch's order of axes
        var, mean = torch.var_mean(kernel, dim=(1, 2, 3), keepdim=True, correction=0)
        fan_in = kernel[0].numel()
        scale = torch.rsqrt(torch.clamp(var * fan_in, min=1e-4)) * gain.view_as(var)
        return F.conv2d(x, kernel * scale - mean * scale, bias, groups=2)

    record = {}
    for name, row in (
        ("standard", with_gradients(standard, inputs)),
        ("scaled", with_gradients(scaled, inputs | gain)),
    ):
        for key, value in row.items():
            is_kernel = key in ("kernel", "dkernel")
            record[f"{name}/{key}"] = (
                value.transpose(2, 3, 1, 0) if is_kernel else channels_last(value)
            )
    return record


def activations() -> dict[str, np.ndarray]:
    """Of a grid; PyTorch's GELU in its tanh approximation, as Flax's."""
    import torch  # pyright: ignore[reportMissingImports]
    import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

    grid = {"x": np.linspace(-4, 4, 34)}  # without 0, where relu has no derivative
    slope = {"slope": np.array([0.3])}
    record = {}
    for name, call in {
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "elu": F.elu,
        "gelu": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }.items():
        row = with_gradients(lambda x, call=call: call(x), grid)
        record |= {f"{name}/{key}": value for key, value in row.items()}
    row = with_gradients(lambda x, slope: F.prelu(x, slope), grid | slope)
    return record | {f"prelu/{key}": value for key, value in row.items()}


def make_record() -> dict[str, np.ndarray]:
    return normalizations() | standardized_convolutions() | activations()


def check() -> int:
    """Compute anew: how many entries differ."""
    recorded = dict(np.load(RECORD, allow_pickle=False))
    found = make_record()
    wrong = sum(
        not (name in found and np.allclose(found[name], value, rtol=1e-10, atol=1e-10))
        for name, value in recorded.items()
    ) + len(found.keys() - recorded.keys())
    print(f"{wrong} of {len(recorded)} entries of {RECORD.name} differ by 1e-10 or more")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the record, write none")
    if parser.parse_args().check:
        sys.exit(1 if check() else 0)
    np.savez_compressed(RECORD, **make_record())


if __name__ == "__main__":
    main()
