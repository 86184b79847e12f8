"""Networks: ours and their peers in turn, in one process; prints the ratios.

    python scripts/benchmarks/networks.py                 # all parts, about 7 minutes on 2 cores
    python scripts/benchmarks/networks.py resnet --quick

Parts:
  resnet   ResNet-20, forward and backward at batch 128, 32x32: as the engine compiles it and with
           XLA's defaults, against the same network of Flax's own layers and, where it is installed,
           of PyTorch's (eager)
  fusions  training steps of other networks, with YNNPACK's fusions and XLA's defaults, and which of
           them the engine chooses
  norms    the same with each normalization, and with weight standardization
  kernel   the gradient of a 3x3 kernel: as the forward convolution that `nn.Conv` makes of it on
           CPU, against forms that are matrix products
"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from peer_resnet import FlaxResNet20, torch_resnet20
from racing import Turn, medians, parser_of, show_times

from jaxopt_lab.engine.fusions import DEFAULT, YNN, fusions_for, options_of
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import cnn, mlp, plain, resnet, wide_resnet
from jaxopt_lab.nn.convolution import canonical_convolution

BATCH = 128


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, 32, 32, 3)).astype(np.float32)
    return images, rng.integers(0, 10, BATCH)


def jax_turn(model: Any, fusions: str | None = DEFAULT, *, size: int = 32) -> Turn:
    """A forward and a backward pass; where `fusions` is None with those that the engine chooses."""
    images, labels = map(jnp.asarray, images_and_labels())
    images = images[:, :size, :size]
    variables = dict(jax.jit(model.init)(jax.random.key(0), images[:1]))
    params = variables.pop("params")

    def gradient(params, rest):
        def loss(params):
            variables = {"params": params, **rest}
            logits, after = model.apply(variables, images, train=True, mutable=list(rest))
            return softmax_cross_entropy(logits, labels).mean(), after

        return jax.grad(loss, has_aux=True)(params)

    if fusions is None:
        program = jax.make_jaxpr(gradient)(params, variables)
        fusions = fusions_for(program, jax.default_backend())
    begin = time.perf_counter()
    jitted = jax.jit(gradient, compiler_options=options_of(fusions))
    compiled = jitted.lower(params, variables).compile()
    taken, analysis = time.perf_counter() - begin, compiled.memory_analysis()
    memory = analysis.temp_size_in_bytes / 2**20 if analysis else float("nan")
    name = type(model).__name__
    print(f"{name}, xla = {fusions!r}: compiled in {taken:.1f} s, {memory:.0f} MiB")
    return lambda: jax.block_until_ready(compiled(params, variables))


def torch_turn() -> Turn:
    import torch

    model = torch_resnet20()
    assert sum(p.numel() for p in model.parameters()) == 269_722
    images, labels = map(torch.from_numpy, images_and_labels())
    images = images.permute(0, 3, 1, 2).contiguous()

    def turn():
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()

    return turn


def resnets(rounds: int) -> None:
    contenders = {"ours": jax_turn(resnet(10), None), "ours, default": jax_turn(resnet(10))}
    contenders |= {"Flax": jax_turn(FlaxResNet20()), "Flax, YNNPACK": jax_turn(FlaxResNet20(), YNN)}
    try:
        contenders["PyTorch eager"] = torch_turn()
    except ImportError:
        print("PyTorch: not installed, left out")
    show_times("ResNet-20, forward and backward, batch 128", medians(contenders, rounds))


def norms(rounds: int) -> None:
    contenders = {f"norm {n}": jax_turn(resnet(10, norm=n)) for n in ("none", "batch", "layer")}
    contenders |= {f"norm {n}": jax_turn(resnet(10, norm=n)) for n in ("group", "instance")}
    standardized = resnet(10, norm="group", weight_standardization="standard")
    contenders["norm group, standardized"] = jax_turn(standardized)
    show_times("ResNet-20 by normalization", medians(contenders, rounds))


def fusions(rounds: int) -> None:
    networks = {
        "small CNN, 8x8": (cnn(10, channels=(16, 32, 64), norm="batch"), 8),
        "CNN": (cnn(10, channels=(32, 64, 128)), 32),
        "ResNet-8": (resnet(10, depth=8), 32),
        "plain of 8": (plain(10, depth=8), 32),
        "wide ResNet-10-2": (wide_resnet(10, depth=10, width=2), 32),
        "perceptron": (mlp(10, hidden=(512, 512)), 32),
    }
    for name, (model, size) in networks.items():
        turns = {each: jax_turn(model, each, size=size) for each in (YNN, DEFAULT)}
        turns["the engine's choice"] = jax_turn(model, None, size=size)
        show_times(f"{name}, forward and backward, batch {BATCH}", medians(turns, rounds))


def shifted(x: jax.Array) -> list[jax.Array]:
    """x as each of the 3x3 taps sees it."""
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]


def as_convolution(x: jax.Array, g: jax.Array) -> jax.Array:
    kernel = jnp.zeros((3, 3, x.shape[-1], g.shape[-1]))
    convolution = partial(
        canonical_convolution,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    _, backward = jax.vjp(lambda w: convolution(x, w), kernel)
    return backward(g)[0]


def as_a_product_a_tap(x: jax.Array, g: jax.Array) -> jax.Array:
    contract = (((0, 1, 2), (0, 1, 2)), ((), ()))
    taps = [lax.dot_general(tap, g, contract) for tap in shifted(x)]
    return jnp.stack(taps).reshape(3, 3, x.shape[-1], g.shape[-1])


def as_one_product(x: jax.Array, g: jax.Array) -> jax.Array:
    patches = jnp.concatenate(shifted(x), -1).reshape(-1, 9 * x.shape[-1])
    product = patches.T @ g.reshape(-1, g.shape[-1])
    return product.reshape(3, 3, x.shape[-1], g.shape[-1])


def kernels(rounds: int) -> None:
    for inputs, features, size in ((3, 16, 32), (16, 16, 32), (32, 32, 16), (64, 64, 8)):
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (BATCH, size, size, inputs))
        g = jax.random.normal(keys[1], (BATCH, size, size, features))
        contenders: dict[str, Turn] = {}
        for form in (as_convolution, as_a_product_a_tap, as_one_product):
            compiled = jax.jit(form)
            contenders[form.__name__] = lambda f=compiled, x=x, g=g: jax.block_until_ready(f(x, g))
        show_times(f"{inputs} -> {features} channels, {size}x{size}", medians(contenders, rounds))


PARTS = {
    "resnet": (resnets, 9),
    "fusions": (fusions, 5),
    "norms": (norms, 5),
    "kernel": (kernels, 15),
}


def main() -> None:
    parser = parser_of(__doc__, PARTS, "two rounds")
    options = parser.parse_args()
    print(jax.devices()[0].device_kind)
    for name in options.parts or PARTS:
        part, rounds = PARTS[name]
        part(2 if options.quick else rounds)


if __name__ == "__main__":
    main()
