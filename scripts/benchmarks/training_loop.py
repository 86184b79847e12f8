"""Training loops: ours and its peers in turn, in one process; prints the ratios.

    python scripts/benchmarks/training_loop.py            # all parts, about 6 minutes on 2 cores
    python scripts/benchmarks/training_loop.py mlp --quick

Parts:
  mlp      digits, 64-128-128-10, batch 64, Adam: steps a second without and with an evaluation
           each epoch (19 steps), against a plain Flax + optax loop around a jitted step, the same
           step in a bare `lax.scan`, Keras on JAX and PyTorch eager (those that are installed)
  resnet   ResNet-20 at 32x32, batch 128, momentum, in one compiled loop, against the plain Flax
           loop with Flax's own convolutions; random images, since only time is measured
  start    seconds from the command to the first training step, with an empty and a full cache of
           compiled programs, against those of a process that imports jax.numpy
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from peer_resnet import FlaxResNet20
from racing import medians, parser_of, record, show_rates

from jaxopt_lab.config.build import build
from jaxopt_lab.config.load import load_config
from jaxopt_lab.engine import (
    Batches,
    Experiment,
    Forward,
    Objective,
    OneRun,
    compile_steps,
    fit,
    init_state,
    make_step,
)
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import resnet
from jaxopt_lab.optimizers import momentum

ROOT = pathlib.Path(__file__).parents[2]
Contender = Callable[[int], None]  # takes that many steps, and waits for them


def race_steps(contenders: dict[str, Contender], steps: int, rounds: int) -> dict[str, float]:
    """Median steps a second of each."""
    turns = {name: partial(turn, steps) for name, turn in contenders.items()}
    return {name: steps / taken for name, taken in medians(turns, rounds).items()}


def mlp(quick: bool) -> None:
    experiment = build(load_config(ROOT / "configs" / "digits_mlp.toml", ["train.epochs=100000"]))
    images = experiment.train["x"].astype(np.float32).reshape(-1, 64) / 255
    labels = experiment.train["y"]
    contenders = {"ours": engine_turn(experiment.init, experiment.step, experiment.train, 64)}
    contenders["ours, with evaluations"] = fit_turn(experiment)
    contenders["Flax + optax loop"] = flax_mlp_turn(images, labels)
    contenders["Flax + optax in a lax.scan"] = flax_mlp_turn(images, labels, scan=True)
    for name, make in (("Keras on JAX", keras_turn), ("PyTorch eager", torch_turn)):
        try:
            contenders[name] = make(images, labels)
        except ImportError:
            print(f"{name}: not installed, left out")
    steps, rounds = (190, 3) if quick else (950, 7)
    show_rates("digits MLP, batch 64, Adam", race_steps(contenders, steps, rounds))


def residual_network(quick: bool) -> None:
    rng = np.random.default_rng(0)
    data = {
        "x": rng.integers(0, 256, (1280, 32, 32, 3)).astype(np.uint8),
        "y": rng.integers(0, 10, 1280).astype(np.int32),
    }

    def pieces(model):
        tx = momentum(0.1)
        x = jnp.zeros((1, 32, 32, 3))
        forward = Forward(model, lambda x: x.astype(jnp.float32) / 255)
        init = partial(init_state, forward=forward, optimizer=tx, x=x)
        return init, make_step(forward, Objective(softmax_cross_entropy), tx)

    init, step = pieces(resnet(10))
    plain_init, plain_step = pieces(FlaxResNet20())
    contenders = {
        "ours": engine_turn(init, step, data, 128, steps_per_dispatch=4096),
        "Flax + optax loop": step_turn(plain_init, plain_step, data, 128),
    }
    steps, rounds = (2, 2) if quick else (5, 5)
    show_rates("ResNet-20, batch 128, in a compiled loop", race_steps(contenders, steps, rounds))


def start(quick: bool) -> None:
    print("\ncommand to first training step")
    train = ["-u", "-m", "jaxopt_lab.cli", "train", str(ROOT / "configs" / "digits_mlp.toml")]
    found: dict[str, list[float]] = {"import jax.numpy": [], "empty cache": [], "full cache": []}
    with tempfile.TemporaryDirectory() as folder:
        # As of a user who has set nothing, whose imports are compiled once and for all.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        first_line([*train, "--dry-run"], folder, environment, "")
        for k in range(2 if quick else 6):
            environment["XDG_CACHE_HOME"] = f"{folder}/{k}"
            bare = ["-uc", "import jax.numpy; print('there')"]
            found["import jax.numpy"].append(first_line(bare, folder, environment, "there"))
            for cache in ("empty cache", "full cache"):
                found[cache].append(first_line(train, folder, environment, "epoch 1/"))
    medians_of = {name: statistics.median(seconds) for name, seconds in found.items()}
    record("command to first training step", medians_of, "seconds")
    least = medians_of["import jax.numpy"]
    for name, median in medians_of.items():
        print(f"  {name:<18}{median:>6.2f} s{median / least:>8.2f}x", flush=True)


def first_line(
    arguments: list[str], folder: str, environment: dict[str, str], begins: str
) -> float:
    """Seconds until a new process says a line that begins so; it is waited for."""
    begin, seconds = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if not seconds and line.startswith(begins):
            seconds = time.perf_counter() - begin
    process.wait()
    return seconds


def engine_turn(
    init: Callable[..., Any],
    step: Callable[..., Any],
    data: dict[str, np.ndarray],
    batch_size: int,
    steps_per_dispatch: int | None = None,
) -> Contender:
    """Our engine, as `jaxopt-lab train` uses it; metrics of every step come back."""
    state = jax.jit(init)(jax.random.key(0))
    program = compile_steps(
        step, state, jax.device_put(data), Batches(batch_size), steps_per_dispatch
    )
    place = {"state": state, "step": 0}

    def turn(steps):
        place["state"], _ = program.advance(place["state"], place["step"], steps)
        place["step"] += steps

    return turn


def fit_turn(experiment: Experiment) -> Contender:
    """Our driver, with its evaluations each epoch, as `jaxopt-lab train` uses it."""
    program = OneRun(experiment)
    place = {"state": program.start(), "step": 0}

    def turn(steps):
        start, every = place["step"], experiment.evaluate_every
        total = start + steps
        for chunk in fit(
            program, place["state"], start=start, total=total, evaluate_every=every, donate=True
        ):
            place["state"] = chunk.state
        place["step"] = total

    return turn


def batches(n: int, batch_size: int):
    """Shuffled indices, epoch after epoch."""
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(n)
        for i in range(n // batch_size):
            yield order[i * batch_size : (i + 1) * batch_size]


def step_turn(init, step, data, batch_size) -> Contender:
    """A Python loop around a jitted step, batches gathered by NumPy."""
    compiled = jax.jit(step, donate_argnums=0)
    place = {"state": jax.jit(init)(jax.random.key(0))}
    order = batches(len(data["y"]), batch_size)

    def turn(steps):
        for _ in range(steps):
            rows = next(order)
            batch = {name: array[rows] for name, array in data.items()}
            place["state"], row = compiled(place["state"], batch)
        jax.block_until_ready(row)

    return turn


def flax_mlp_turn(images: np.ndarray, labels: np.ndarray, *, scan: bool = False) -> Contender:
    """What the Flax documentation shows: linen, optax, a jitted step, a Python loop.

    `scan` makes one dispatch of all its steps, on data that is on the device already, without any
    of what else a run does: the least that the step takes.
    """

    class MLP(nn.Module):
        @nn.compact
        def __call__(self, x):
            for _ in range(2):
                x = nn.relu(nn.Dense(128)(x))
            return nn.Dense(10)(x)

    model, tx = MLP(), optax.adam(1e-3)
    params = model.init(jax.random.key(0), images[:1])

    def train_step(params, opt_state, x, y):
        def loss_fn(params):
            logits = model.apply(params, x)
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
            return loss, (jnp.argmax(logits, -1) == y).mean()

        (loss, accuracy), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss, accuracy

    place = {"carry": (params, tx.init(params))}
    order = batches(len(labels), 64)
    one_step = jax.jit(train_step, donate_argnums=(0, 1))
    x, y = jax.device_put((images, labels))

    def scanned_step(carry, rows):
        params, opt_state = carry
        *carry, loss, accuracy = train_step(params, opt_state, x[rows], y[rows])
        return tuple(carry), (loss, accuracy)

    all_steps = jax.jit(partial(jax.lax.scan, scanned_step), donate_argnums=0)

    def turn(steps):
        if scan:
            rows = np.stack([next(order) for _ in range(steps)])
            place["carry"], _ = all_steps(place["carry"], rows)
            jax.block_until_ready(place["carry"])
            return
        for _ in range(steps):
            rows = next(order)
            *carry, loss, _ = one_step(*place["carry"], images[rows], labels[rows])
            place["carry"] = tuple(carry)
        jax.block_until_ready(loss)

    return turn


def keras_turn(images: np.ndarray, labels: np.ndarray) -> Contender:
    import keras

    dense = keras.layers.Dense
    model = keras.Sequential([dense(128, "relu"), dense(128, "relu"), dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    n = len(labels) // 64 * 64

    def turn(steps):
        epochs = max(1, round(steps / (n // 64)))
        model.fit(images[:n], labels[:n], batch_size=64, epochs=epochs, verbose=0)

    return turn


def torch_turn(images: np.ndarray, labels: np.ndarray) -> Contender:
    import torch

    layers = torch.nn
    model = layers.Sequential(
        *(layers.Linear(64, 128), layers.ReLU()),
        *(layers.Linear(128, 128), layers.ReLU(), layers.Linear(128, 10)),
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y = torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
    order = batches(len(labels), 64)

    def turn(steps):
        for _ in range(steps):
            rows = torch.from_numpy(next(order))
            target = y[rows]
            optimizer.zero_grad()
            logits = model(x[rows])
            loss = layers.functional.cross_entropy(logits, target)
            loss.backward()
            optimizer.step()
            (logits.argmax(-1) == target).float().mean()

    return turn


PARTS = {"mlp": mlp, "resnet": residual_network, "start": start}


def main() -> None:
    parser = parser_of(__doc__, PARTS, "fewer steps and rounds")
    options = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, jax {jax.__version__}")
    for part in options.parts or PARTS:
        PARTS[part](options.quick)


if __name__ == "__main__":
    main()
