"""What this package does on one GPU or TPU, in under six minutes and without an install.

    python scripts/benchmarks/accelerator.py                          # all parts
    python scripts/benchmarks/accelerator.py smoke updates --json found.json
    python scripts/benchmarks/accelerator.py --tiny                   # does it run: on a CPU, small

Needs jax (0.7.2 or newer), flax and optax, and nothing of the network: the data is drawn. Each part
runs in a process of its own, in its own time and in what is left of six minutes; one that fails or
takes too long is a line that says so.

Parts:
  smoke     every family on the device against the CPU, float32 products in full: the largest
            difference, relative to the largest number
  mlp       training steps of a perceptron of 4,096 units: share of the device's own best product
  resnet18  images a second of the network for CIFAR-10 at batch 512, in float32 and bfloat16
  same      whether training compiled twice gives the same bytes: the largest difference
  runs      1, 16, 64 and 256 runs of the digits' perceptron at once
  augment   images a second, 32 x 32 x 3
  updates   of 25M parameters in 24 leaves: ours, optax's, and the time of their memory traffic
  kfac      milliseconds of a step on the 784-wide autoencoder at batch 1,000, over Adam's
"""

import argparse
import functools
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(pathlib.Path(__file__).parent)]

SECONDS = 350.0  # for all parts
# Dense FLOP/s in bfloat16 that makers state; of other devices only the measured product is told.
PEAK = {
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "L4": 121e12,
    "T4": 65e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v6e": 918e12,
}

Row = tuple[str, float, str]
"""What was measured, how much, and its unit."""


def timed(function: Callable[..., Any], *given: Any, least: float = 0.2) -> float:
    """The median seconds of a call, after one that compiles.

    Calls are handed to the device by the dozen, so that it does not wait for the host in between.
    """
    import statistics

    import jax

    def seconds(calls):
        begin = time.perf_counter()
        for _ in range(calls):
            found = function(*given)
        jax.block_until_ready(found)
        return time.perf_counter() - begin

    seconds(1)
    calls = max(1, min(50, math.ceil(0.02 / seconds(1))))
    taken: list[float] = []
    while len(taken) < 3 or (sum(taken) < least and len(taken) < 100):
        taken.append(seconds(calls))
    return statistics.median(taken) / calls


# --- smoke: every family, on the device and on the CPU


def smoke(tiny: bool) -> Iterator[Row]:
    import concurrent.futures

    import jax
    import jax.numpy as jnp
    import numpy as np

    device, cpu = jax.devices()[0], jax.devices("cpu")[0]

    def gap(entry: tuple[Callable[..., Any], tuple[Any, ...]]) -> float:
        function, given = entry
        with jax.default_matmul_precision("highest"):
            both = [jax.jit(function)(*jax.device_put(given, place)) for place in (device, cpu)]
        gaps = [0.0]
        for a, b in zip(*map(jax.tree.leaves, both), strict=True):
            if jnp.issubdtype(a.dtype, jnp.inexact) and a.size:
                a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
                gaps.append(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6))
        return float(np.max(gaps))  # NaN stays

    for family, functions in families(tiny).items():
        # Compiling is most of it, and lets other threads in.
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            gaps = dict(zip(functions, threads.map(gap, functions.values()), strict=True))
        where = max(gaps, key=lambda name: math.inf if math.isnan(gaps[name]) else gaps[name])
        yield f"{family} ({len(functions)}), most in {where}", gaps[where], "difference"


def families(tiny: bool) -> dict[str, dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]]:
    """By family and name a function of arrays, and the arrays."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxopt_lab import augment, linalg, linear, losses, nn, optimizers, schedules, second_order
    from jaxopt_lab.core.signatures import takes

    key = jax.random.key(0)
    x = jax.random.normal(jax.random.fold_in(key, 1), (64, 16))
    y = jnp.arange(64) % 10
    images = jax.random.uniform(jax.random.fold_in(key, 2), (8, 32, 32, 3)) * 255
    model = nn.mlp(10, hidden=(32,))
    params = jax.jit(model.init)(key, x[:1])["params"]
    batch = {"x": x, "y": y}

    def loss_of(params, x):
        outputs = model.apply({"params": params}, x)
        return losses.softmax_cross_entropy(outputs, y).mean()

    def steps_of(tx):
        tx = optax.with_extra_args_support(tx)

        def run(params):
            def step(carry, k):
                params, state = carry
                grads = jax.tree.map(lambda p: jnp.cos(3 * p + k), params)
                updates, state = tx.update(grads, state, params, value=1 / (1 + k))
                return (optax.apply_updates(params, updates), state), None

            return jax.lax.scan(step, (params, tx.init(params)), jnp.arange(3.0))[0][0]

        return run, (params,)

    def curved(tx):
        def run(params, x):
            curvature = second_order.Curvature(
                params,
                lambda params, batch: model.apply({"params": params}, batch["x"]),
                losses.softmax_cross_entropy,
                batch | {"x": x},
                jax.random.key(3),
            )
            grads = curvature.gradient()
            tx_ = optax.with_extra_args_support(tx)
            return tx_.update(grads, tx_.init(params), params, curvature=curvature)[0]

        return run, (params, x)

    first = {n: steps_of(make(0.01)) for n, make in optimizers.OPTIMIZERS.items()}
    orders = second_order.SECOND_ORDER
    given = {"learning_rate": 0.01, "damping": 0.1}
    second = {
        name: curved(make(**{k: v for k, v in given.items() if takes(make, k)}))
        for name, make in orders.items()
    }
    rates = {
        "cosine_decay": schedules.cosine_decay(100, peak=0.1),
        "one_cycle": schedules.one_cycle(100, peak=0.1),
        "sgdr": schedules.sgdr(10, peak=0.1),
        "exponential_decay": schedules.exponential_decay(10, rate=0.9),
        "wsd": schedules.wsd(100, warmup=10, decay=20, peak=0.1),
    }
    of_losses = {
        name: (function, (jax.random.normal(key, (64, 10)), y))
        for name, function in losses.LOSSES.items()
        if name in ("softmax_cross_entropy", "focal", "hinge")
    }
    networks = {
        "cnn": nn.cnn(10, channels=(8,)),
        "resnet": nn.resnet(10, depth=8),
        "wide_resnet": nn.wide_resnet(10, depth=10, width=1),
    }
    if tiny:
        first = {name: first[name] for name in ("sgd", "adam", "muon")}
        second = {name: second[name] for name in ("kfac", "soap")}
        networks = {"cnn": networks["cnn"]}
    operations = {
        "crop and flip": augment.compose(augment.random_crop(4), augment.random_flip()),
        "rand_augment": augment.rand_augment(),
    }
    A, b = x, x @ jnp.arange(16.0) + jnp.sin(jnp.arange(64.0))
    return {
        "optimizers": first,
        "second_order": second,
        "schedules": {n: (jax.vmap(rate), (jnp.arange(100),)) for n, rate in rates.items()},
        "losses": of_losses,
        "nn": {name: network_of(network, images) for name, network in networks.items()},
        "augment": {
            name: (functools.partial(augment.batched(op), jax.random.key(4)), (images,))
            for name, op in operations.items()
        },
        "linear": {
            "ridge": (lambda A, b: linear.ridge(A, b, 1.0), (A, b)),
            "lasso": (
                lambda A, b: linear.fit(A, b, loss="squared", penalty="l1", lam=0.05).model,
                (A, b),
            ),
        },
        "linalg": {
            "hvp": (
                lambda p, x: linalg.hvp(lambda p: loss_of(p, x), p, jax.tree.map(jnp.ones_like, p)),
                (params, x),
            ),
        },
    }


def network_of(network: Any, images: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    import jax

    variables = jax.jit(functools.partial(network.init, train=False))(jax.random.key(0), images)
    scaled = images / 255

    def outputs(variables, scaled):
        return network.apply(variables, scaled, train=False)

    return outputs, (variables, scaled)


# --- training


def training(model: Any, batch: dict[str, Any], dtype: Any, steps: int, tx: Any = None) -> Any:
    """`carry -> carry` of some steps in a loop, its first carry, and the FLOPs of a step."""
    import jax

    from jaxopt_lab import engine, losses, optimizers

    forward = engine.Forward(model, dtype=dtype)
    tx = tx or optimizers.nesterov(0.01)
    state = engine.init_state(jax.random.key(0), forward, tx, batch["x"][:1])
    step = engine.make_step(forward, engine.Objective(losses.softmax_cross_entropy), tx)
    run = jax.jit(
        lambda state, batch: jax.lax.scan(
            lambda state, _: (step(state, batch)[0], None), state, None, steps
        )[0]
    )
    # Before the device's compiler hides products in calls of libraries.
    cost = jax.jit(step).lower(state, batch).cost_analysis() or {}
    return run, state, float(cost.get("flops", math.nan))


def best_product(tiny: bool) -> float:
    """FLOP/s of a large product of bfloat16 on this device."""
    import jax
    import jax.numpy as jnp

    size, times = (256, 2) if tiny else (8192, 8)
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.bfloat16)
    product = jax.jit(lambda a: jax.lax.fori_loop(0, times, lambda _, x: (a @ x) * 0.01, a))
    return 2 * size**3 * times / timed(product, a)


def mlp(tiny: bool) -> Iterator[Row]:
    import jax
    import jax.numpy as jnp

    from jaxopt_lab import nn

    width, rows, steps = (64, 32, 3) if tiny else (4096, 4096, 20)
    best = best_product(tiny)
    yield "the device's own best product, bfloat16", best / 1e12, "TFLOP/s"
    kind = jax.devices()[0].device_kind
    stated = next((peak for name, peak in PEAK.items() if name in kind), None)
    x = jax.random.normal(jax.random.key(1), (rows, width))
    batch = {"x": x, "y": jnp.arange(rows) % 10}
    model = nn.mlp(10, hidden=(width,) * 4)
    for dtype in (jnp.float32, jnp.bfloat16):
        run, state, flops = training(model, batch, dtype, steps)
        speed = flops * steps / timed(run, state, batch)
        yield f"{dtype.__name__}: training", speed / 1e12, "TFLOP/s"
        yield f"{dtype.__name__}: of the best product", speed / best, "share"
        if stated and dtype is jnp.bfloat16:
            yield f"{dtype.__name__}: of the stated peak", speed / stated, "share"


def resnet18(tiny: bool) -> Iterator[Row]:
    import jax
    import jax.numpy as jnp

    from jaxopt_lab import nn

    rows, size, steps, depth = (8, 8, 2, 8) if tiny else (512, 32, 10, 18)
    x = jax.random.normal(jax.random.key(1), (rows, size, size, 3))
    batch = {"x": x, "y": jnp.arange(rows) % 10}
    best = best_product(tiny)
    for dtype in (jnp.float32, jnp.bfloat16):
        run, state, flops = training(nn.resnet(10, depth=depth), batch, dtype, steps)
        seconds = timed(run, state, batch)
        yield f"{dtype.__name__}: training", rows * steps / seconds, "images/s"
        yield f"{dtype.__name__}: of the best product", flops * steps / seconds / best, "share"
    if importlib.util.find_spec("torch"):
        yield from resnet18_in_torch(rows, size, steps)


def resnet18_in_torch(rows: int, size: int, steps: int) -> Iterator[Row]:
    """The same step in PyTorch, eager, its images with the channels last."""
    import torch
    from peer_resnet import torch_resnet18

    if not torch.cuda.is_available():
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as XLA
    torch.backends.cudnn.benchmark = True
    model = torch_resnet18().cuda().to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True, fused=True)
    x = torch.randn(rows, 3, size, size, device="cuda").to(memory_format=torch.channels_last)
    y = torch.arange(rows, device="cuda") % 10

    def run(dtype):
        for _ in range(steps):
            with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
                loss = torch.nn.functional.cross_entropy(model(x), y)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        torch.cuda.synchronize()

    for dtype in (torch.float32, torch.bfloat16):
        yield f"{dtype}: PyTorch's training", rows * steps / timed(run, dtype), "images/s"


def same(tiny: bool) -> Iterator[Row]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxopt_lab import nn, optimizers

    rows, steps = (8, 3) if tiny else (128, 200)
    x = jax.random.normal(jax.random.key(1), (rows, 32, 32, 3))
    batch = {"x": x, "y": jnp.arange(rows) % 10}
    networks = {
        "perceptron": nn.mlp(10, hidden=(128, 128)),
        "cnn": nn.cnn(10, channels=(16, 32)),
    }
    for name, network in networks.items():
        found = []
        for _ in range(2):
            jax.clear_caches()  # a compiler may choose by the clock
            run, state, _ = training(network, batch, jnp.float32, steps, optimizers.adam(1e-3))
            leaves = jax.tree.leaves(run(state, batch).params)
            found.append(np.concatenate([np.ravel(leaf) for leaf in leaves]))
        gap = float(np.abs(found[0] - found[1]).max())
        yield f"{name}, {steps} steps", gap, "difference"


def runs(tiny: bool) -> Iterator[Row]:
    import jax
    import jax.numpy as jnp

    from jaxopt_lab import nn, optimizers

    steps = 5 if tiny else 200
    batch = {"x": jax.random.normal(jax.random.key(1), (64, 64)), "y": jnp.arange(64) % 10}
    model, tx = nn.mlp(10, hidden=(128, 128)), optimizers.adam(1e-3)
    run, state, _ = training(model, batch, jnp.float32, steps, tx)
    one = None
    for count in (1, 4) if tiny else (1, 16, 64, 256):
        states = jax.tree.map(lambda leaf, n=count: jnp.stack([leaf] * n), state)
        seconds = timed(jax.jit(jax.vmap(run, (0, None))), states, batch)
        speed = count * steps / seconds
        one = one or speed
        yield f"{count} at once", speed, "steps/s of all"
        yield f"{count} at once, over 1", speed / one, "times"


# --- parts of a step


def augmenting(tiny: bool) -> Iterator[Row]:
    import jax

    from jaxopt_lab import augment

    rows = 16 if tiny else 4096
    images = jax.random.uniform(jax.random.key(0), (rows, 32, 32, 3)) * 255
    operations = {
        "crop and flip": augment.compose(augment.random_crop(4), augment.random_flip()),
        "rand_augment": augment.rand_augment(),
        "augmix": augment.augmix(),
    }
    for name, op in operations.items():
        seconds = timed(jax.jit(augment.batched(op)), jax.random.key(1), images)
        yield name, rows / seconds, "images/s"


def updates(tiny: bool) -> Iterator[Row]:
    import jax
    import jax.numpy as jnp
    import optax

    from jaxopt_lab import control, optimizers

    shapes = [(1024, 2000), (2000,), (2000, 1040), (1040,)] * 6
    shapes = [(8, 4), (4,)] if tiny else shapes
    params = {f"p{i}": jnp.full(shape, 0.1) for i, shape in enumerate(shapes)}
    grads = jax.tree.map(lambda p: 0.1 * p, params)
    size = sum(4 * p.size for p in params.values())
    copy = timed(jax.jit(lambda tree: jax.tree.map(lambda p: 1.001 * p, tree)), params)
    bandwidth = 2 * size / copy
    yield "bandwidth of a copy", bandwidth / 1e9, "GB/s"
    # What each reads and writes at least: gradient and parameters, and twice its accumulators.
    pairs = {
        "sgd": (optimizers.sgd(0.01), optax.sgd(0.01), 3),
        "momentum": (optimizers.momentum(0.01), optax.sgd(0.01, momentum=0.9), 5),
        "nesterov": (optimizers.nesterov(0.01), optax.sgd(0.01, 0.9, nesterov=True), 5),
        "adagrad": (optimizers.adagrad(0.01), optax.adagrad(0.01), 5),
        "adam": (optimizers.adam(1e-3), optax.adam(1e-3), 7),
        "adamw": (optimizers.adamw(1e-3), optax.adamw(1e-3), 7),
        "clip_by_global_norm + adam": (
            optax.chain(control.clip_by_global_norm(1.0), optimizers.adam(1e-3)),
            optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
            8,
        ),
    }
    for name, (ours, theirs, arrays) in pairs.items():
        taken = [timed_update(tx, params, grads) for tx in (ours, theirs)]
        yield f"{name}: ours", 1e3 * taken[0], "ms"
        yield f"{name}: over optax", taken[0] / taken[1], "times"
        yield f"{name}: over its traffic", taken[0] / (arrays * size / bandwidth), "times"


def timed_update(tx: Any, params: Any, grads: Any) -> float:
    import jax
    import jax.numpy as jnp
    import optax

    def update(carry, grads):
        found, state = tx.update(grads, carry[1], carry[0])
        return optax.apply_updates(carry[0], found), state

    compiled = jax.jit(update, donate_argnums=0)
    params = jax.tree.map(jnp.copy, params)
    carry = [(params, jax.jit(tx.init)(params))]

    def step():
        carry[0] = compiled(carry[0], grads)
        return carry[0]

    return timed(step)


def kfac(tiny: bool) -> Iterator[Row]:
    import jax
    import optax

    from jaxopt_lab import losses, nn, optimizers, second_order

    rows, steps, pixels = (16, 2, 16) if tiny else (1000, 40, 784)
    widths = {"hidden": (8,), "code": 4} if tiny else {}
    model = nn.autoencoder(pixels, **widths)
    x = jax.random.uniform(jax.random.key(0), (rows, pixels))
    params = jax.jit(model.init)(jax.random.key(1), x[:1])["params"]
    batch = {"x": x, "y": x}
    methods = {
        "adam": optimizers.adam(1e-3),
        "kfac": second_order.kfac(1e-2, damping=0.1, every=20, factors_every=5),
        "shampoo": second_order.shampoo(1e-3, every=20),
        "soap": second_order.soap(1e-3, every=20),
    }
    base = None
    for name, tx in methods.items():
        tx = optax.with_extra_args_support(tx)

        def step(carry, key, tx=tx):
            params, state = carry
            curvature = second_order.Curvature(
                params,
                lambda params, batch: model.apply({"params": params}, batch["x"]),
                losses.logistic,
                batch,
                key,
                sample_label=second_order.bernoulli,
            )
            grads = curvature.gradient()
            found, state = tx.update(grads, state, params, curvature=curvature)
            return (optax.apply_updates(params, found), state), None

        keys = jax.random.split(jax.random.key(2), steps)
        run = jax.jit(lambda carry, step=step, keys=keys: jax.lax.scan(step, carry, keys)[0])
        seconds = timed(run, (params, tx.init(params))) / steps
        base = base or seconds
        yield f"{name}: a step, amortized", 1e3 * seconds, "ms"
        yield f"{name}: over adam's", seconds / base, "times"


# --- the parts, each in a process of its own

PARTS: dict[str, tuple[Callable[[bool], Iterator[Row]], float]] = {
    "smoke": (smoke, 120),
    "mlp": (mlp, 40),
    "resnet18": (resnet18, 80),
    "same": (same, 60),
    "runs": (runs, 60),
    "augment": (augmenting, 60),
    "updates": (updates, 60),
    "kfac": (kfac, 80),
}


def in_own_process(part: str, tiny: bool, seconds: float) -> dict[str, Any]:
    """What a part found, and why it found no more."""
    command = [sys.executable, __file__, "--only", part, *(["--tiny"] if tiny else [])]
    environment = {"JAX_PLATFORMS": "cpu"} | os.environ if tiny else os.environ
    begun = time.perf_counter()
    why = ""
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        out = done.stdout
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    except subprocess.TimeoutExpired as late:
        out = (late.stdout or b"").decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        why = f"took longer than {seconds:.0f} s"
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    return {
        "part": part,
        "rows": [line for line in lines if len(line) == 3],
        "device": next((line[0] for line in lines if len(line) == 1), None),
        "seconds": round(time.perf_counter() - begun, 1),
        "failed": why[:300],
    }


def only(part: str, tiny: bool) -> None:
    """One part in this process: a line of JSON as each figure is known."""
    import flax
    import jax
    import optax

    device = f"{jax.devices()[0].device_kind} ({jax.default_backend()})"
    versions = f"jax {jax.__version__}, flax {flax.__version__}, optax {optax.__version__}"
    print(json.dumps([f"{device}; {versions}"]), flush=True)
    for what, value, unit in PARTS[part][0](tiny):
        print(json.dumps([what, value if math.isfinite(value) else None, unit]), flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all unless given")
    parser.add_argument("--tiny", action="store_true", help="small, and on the CPU")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures too")
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only:
        only(options.only, options.tiny)
        return 0
    until, found = time.perf_counter() + SECONDS, []
    for part in options.parts or PARTS:
        left = until - time.perf_counter()
        if left < 5:
            result = {"part": part, "rows": [], "device": None, "failed": "no time was left"}
        else:
            result = in_own_process(part, options.tiny, min(PARTS[part][1], left))
        if result["device"] and not any(each["device"] for each in found):
            print(result["device"], flush=True)
        found.append(result)
        print(f"\n{part} ({result.get('seconds', 0)} s)")
        for what, value, unit in result["rows"]:
            shown = "not finite" if value is None else f"{value:,.4g}"
            print(f"  {what:<52}{shown:>12} {unit}")
        if result["failed"]:
            print(f"  stopped: {result['failed']}")
        sys.stdout.flush()
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if all(not each["rows"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
