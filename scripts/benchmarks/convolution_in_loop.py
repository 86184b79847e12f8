"""Gradient steps of one convolution on CPU: ours in a `lax.scan` against XLA's own.

Prints medians of interleaved runs and two ratios: how much longer XLA's own takes in a scan, and
how long ours takes in a scan for each second that XLA's own takes outside a loop.

    python scripts/benchmarks/convolution_in_loop.py [--quick]
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from racing import medians, parser_of, record

from jaxopt_lab.nn.convolution import canonical_convolution

LABELS = ("NHWC", "HWIO", "NHWC")
STEPS = 2  # in a scan


class Case(NamedTuple):
    channels: int = 32
    features: int = 32
    kernel: int = 3
    strides: int = 1
    padding: Any = "SAME"
    lhs_dilation: int = 1
    rhs_dilation: int = 1
    groups: int = 1


CASES = {
    "3x3": Case(),
    "3x3 stride 2": Case(strides=2),
    "5x5 valid": Case(kernel=5, padding="VALID"),
    "1x1": Case(kernel=1),
    "1x1 stride 2": Case(kernel=1, strides=2),
    "kernel dilation 2": Case(rhs_dilation=2),
    "input dilation 2": Case(lhs_dilation=2, padding=((2, 1), (2, 1))),
    "4 groups": Case(groups=4),
    "64 channels, 16 groups": Case(64, 64, groups=16),
    "depthwise": Case(groups=32),
    "depthwise, 64 channels": Case(64, 64, groups=64),
}


def gradient(convolve: Callable[..., jax.Array], case: Case, order: int) -> Callable[..., Any]:
    """The gradient in both operands, or of a function of these gradients (order 2)."""

    def loss(x, kernel):
        y = convolve(
            x,
            kernel,
            (case.strides,) * 2,
            case.padding,
            (case.lhs_dilation,) * 2,
            (case.rhs_dilation,) * 2,
            LABELS,
            case.groups,
        )
        return jnp.tanh(y).sum()

    first = jax.grad(loss, argnums=(0, 1))
    if order == 1:
        return first
    return jax.grad(lambda *args: sum(jnp.sin(g).sum() for g in first(*args)), argnums=(0, 1))


def in_scan(step: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args):
        def body(args, _):
            return jax.tree.map(lambda a, g: a - 1e-3 * g, args, step(*args)), None

        return lax.scan(body, args, length=STEPS)[0]

    return jax.jit(run)


def measure(case: Case, order: int, batch: int, size: int, repeats: int) -> list[float]:
    """Milliseconds a step: XLA's own outside a loop, XLA's own in a scan, ours in a scan."""
    keys = jax.random.split(jax.random.key(0))
    shape = (case.kernel, case.kernel, case.channels // case.groups, case.features)
    x = jax.random.normal(keys[0], (batch, size, size, case.channels))
    args = (x, jax.random.normal(keys[1], shape))
    xla = gradient(lax.conv_general_dilated, case, order)
    ours = gradient(canonical_convolution, case, order)
    functions = {"outside": jax.jit(xla), "own": in_scan(xla), "ours": in_scan(ours)}
    turns = {name: lambda f=f: jax.block_until_ready(f(*args)) for name, f in functions.items()}
    t = medians(turns, repeats)
    return [1e3 * t["outside"], 1e3 * t["own"] / STEPS, 1e3 * t["ours"] / STEPS]


def main() -> None:
    quick = parser_of(__doc__, (), "fewer repeats, a smaller batch").parse_args().quick
    batch, size, repeats = (8, 16, 3) if quick else (32, 16, 5)
    print(
        f"jax {jax.__version__}, {jax.default_backend()}, batch {batch}, {size}x{size}; ms a step"
    )
    header = f"{'':26}{'XLA':>9}{'XLA, scan':>11}{'ours, scan':>12}"
    for order in (1, 2):
        print(f"\n{header}{'XLA/ours':>10}{'ours/outside':>14}   derivative {order}")
        for name, case in CASES.items():
            outside, own, ours = measure(case, order, batch, size, repeats)
            values = {"XLA": outside, "XLA, scan": own, "ours, scan": ours}
            record(f"{name}, derivative {order}", values, "ms")
            print(
                f"{name:26}{outside:9.2f}{own:11.2f}{ours:12.2f}{own / ours:10.1f}"
                f"{ours / outside:14.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
