"""One update of every optimizer: ours, optax's and PyTorch's, interleaved, medians in milliseconds.

Each is update and apply together under jit with donated buffers, on 25M parameters in 24 leaves
and on 0.7M in 161. `traffic` is how long it takes to read and write the same bytes in as few
kernels as there are arrays to write; PyTorch's is its fused form where it has one, else foreach.

    python scripts/benchmarks/optimizer_update.py [--quick] [--only adam adadelta]

What made the difference on CPU, where XLA writes one array a kernel:
- No temporary of the parameters' size. optax's Adadelta keeps two (the roots are shared by two
  kernels); ours computes the second accumulator without a root, and the step from the new one, so
  that nothing waits for a copy of the old: 2 times faster.
- Otherwise XLA sees one graph however it is written, and memory is the bound: Adam's three kernels
  read 7 arrays and write 3, where 4 and 3 would do.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from racing import Turn, medians, parser_of, record

from jaxopt_lab import control, optimizers

try:
    import torch  # pyright: ignore[reportMissingImports]
except ImportError:
    torch = None

# Ours, optax's, PyTorch's, and how many arrays Adam's like read and write at least (g, theta and
# the accumulators in; theta and the accumulators out).
METHODS: dict[str, tuple[Any, Any, Any, int]] = {
    "sgd": (optimizers.sgd(0.01), optax.sgd(0.01), "SGD", 0),
    "momentum": (
        optimizers.momentum(0.01),
        optax.sgd(0.01, momentum=0.9),
        ("SGD", {"momentum": 0.9}),
        1,
    ),
    "nesterov": (
        optimizers.nesterov(0.01),
        optax.sgd(0.01, momentum=0.9, nesterov=True),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        1,
    ),
    "adagrad": (optimizers.adagrad(0.01), optax.adagrad(0.01), "Adagrad", 1),
    "rmsprop": (optimizers.rmsprop(1e-3), optax.rmsprop(1e-3), "RMSprop", 1),
    "adadelta": (optimizers.adadelta(1.0), optax.adadelta(1.0), "Adadelta", 2),
    "adam": (optimizers.adam(1e-3), optax.adam(1e-3), "Adam", 2),
    "adamw": (optimizers.adamw(1e-3), optax.adamw(1e-3), "AdamW", 2),
    "nadam": (optimizers.nadam(1e-3), optax.nadam(1e-3), "NAdam", 2),
    "nadamw": (
        optimizers.nadamw(1e-3),
        optax.nadamw(1e-3),
        ("NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.01}),
        2,
    ),
    "clip+adam": (
        optax.chain(control.clip_by_global_norm(1.0), optimizers.adam(1e-3)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
        None,
        2,
    ),
}
FUSED = {"SGD", "Adagrad", "Adam", "AdamW"}


def leaf_shapes(size: str) -> list[tuple[int, ...]]:
    """25M parameters in 24 leaves, as of an attention network; 0.7M in 161, as of a deep ResNet."""
    if size == "25M":
        return [(1024, 2000), (2000,), (2000, 1040), (1040,)] * 6
    return [(3, 3, 16, 54), (54,)] * 80 + [(54, 1000)]


def arrays(shapes: list[tuple[int, ...]]) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return {
        f"p{i}": 0.1 * jax.random.normal(key, s)
        for i, (key, s) in enumerate(zip(keys, shapes, strict=True))
    }


def jax_step(update: Callable[..., Any], state: Any, shapes: list[tuple[int, ...]]) -> Turn:
    grads, params = arrays(shapes), arrays(shapes)
    compiled = jax.jit(update, donate_argnums=(0, 1))

    def step():
        nonlocal params, state
        params, state = jax.block_until_ready(compiled(params, state, grads))

    return step


def with_transformation(tx: optax.GradientTransformation, shapes: list[tuple[int, ...]]) -> Turn:
    def update(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax_step(update, jax.jit(tx.init)(arrays(shapes)), shapes)


def traffic(accumulators: int, shapes: list[tuple[int, ...]]) -> Turn:
    def update(params, state, grads):
        params = jax.tree.map(lambda p, g: p - 1e-3 * g, params, grads)
        return params, jax.tree.map(lambda a: 0.9 * a, state)

    state = [jax.tree.map(jnp.ones_like, arrays(shapes)) for _ in range(accumulators)]
    return jax_step(update, state, shapes)


def with_torch(method: Any, shapes: list[tuple[int, ...]]) -> Turn | None:
    if torch is None or method is None:
        return None
    name, arguments = (method, {}) if isinstance(method, str) else method
    params = [torch.nn.Parameter(torch.randn(s) * 0.1) for s in shapes]
    for p in params:
        p.grad = torch.randn_like(p) * 0.1
    form = {"fused": True} if name in FUSED else {"foreach": True}
    return getattr(torch.optim, name)(params, **arguments, **form).step


def main() -> None:
    parser = parser_of(__doc__, (), "fewer repeats")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    print(
        f"jax {jax.__version__}, optax {optax.__version__}, {jax.default_backend()}; ms an update"
    )
    for size in ("25M", "0.7M"):
        shapes = leaf_shapes(size)
        repeats = (7 if given.quick else 31) * (1 if size == "25M" else 5)
        print(f"\n{size} parameters, {len(shapes)} leaves")
        print(f"{'':10}{'ours':>9}{'optax':>9}{'torch':>9}{'traffic':>9}", end="")
        print(f"{'ours/optax':>12}{'ours/torch':>12}{'ours/traffic':>14}")
        for name in given.only:
            ours, theirs, torchs, accumulators = METHODS[name]
            make = functools.partial(with_transformation, shapes=shapes)
            steps = {"ours": make(ours), "optax": make(theirs)}
            steps["traffic"] = traffic(accumulators, shapes)
            other = with_torch(torchs, shapes)
            if other is not None:
                steps["torch"] = other
            # A pause, because PyTorch's threads spin for a while after their work.
            t = medians(steps, repeats, warmups=2, pause=0.005, shuffle=True)
            t = {contender: 1e3 * taken for contender, taken in t.items()}
            record(f"{name}, {size} parameters", t, "ms")
            missing = float("nan")
            row = [t["ours"], t["optax"], t.get("torch", missing), t["traffic"]]
            ratios = [t["ours"] / x for x in row[1:]]
            print(f"{name:10}" + "".join(f"{x:9.2f}" for x in row), end="")
            print(f"{ratios[0]:12.2f}{ratios[1]:12.2f}{ratios[2]:14.2f}", flush=True)


if __name__ == "__main__":
    main()
