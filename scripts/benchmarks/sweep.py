"""Sweeps: ours and its peers in turn; prints the ratios.

    python scripts/benchmarks/sweep.py             # all parts, about 15 minutes on 2 cores
    python scripts/benchmarks/sweep.py steady --quick

Every contender runs in processes of its own, for its devices are set up before JAX starts; peers
have one process for each of two cores, ours has one program over both.

Parts:
  steady   digits MLP, batch 64, Adam: steps of all runs a second once compiled, 32 runs
  command  the whole command, imports and compilation included, 50 epochs a run: 32 runs against our
           own runs one after another, 256 runs against PyTorch
  cnn      16 runs of a small CNN against our own one after another, steady
  devices  one single-threaded CPU device against two, steady; on a GPU 256 runs against one
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from racing import parser_of, race, seconds, show_rates, show_times

os.environ.setdefault("KERAS_BACKEND", "jax")
ROOT = pathlib.Path(__file__).parents[2]
EPOCHS = 50  # as the configuration has them
DEVICES = "--xla_force_host_platform_device_count={} --xla_cpu_multi_thread_eigen=false"
CNN = ["model.channels=[8, 16]"]


def main() -> None:
    parser = parser_of(__doc__, PARTS, "one round")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, runs, steps = options.worker
        print(json.dumps({"seconds": WORKERS[kind](int(runs), int(steps))}))
        return
    for part in options.parts or PARTS:
        PARTS[part](1 if options.quick else 3)


def worker(kind: str, runs: int, steps: int, *, flags: str = "", copies: int = 1) -> float:
    """Steps of all runs a second, of so many copies of a process that share the runs."""
    command = [sys.executable, __file__, "--worker", kind, str(runs // copies), str(steps)]
    environment = os.environ | {"XLA_FLAGS": flags, "OMP_NUM_THREADS": "1" if copies > 1 else ""}
    if not environment["OMP_NUM_THREADS"]:
        del environment["OMP_NUM_THREADS"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(copies)
    ]
    out = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        return float("nan")
    seconds = max(json.loads(text.splitlines()[-1])["seconds"] for text in out)
    return runs * steps / seconds


def steady(rounds: int) -> None:
    both = DEVICES.format(2)
    contenders = {
        "ours, 32 runs, 2 devices": lambda: worker("sweep", 32, 950, flags=both),
        "ours, one after another": lambda: worker("single", 4, 1900),
        "Keras on JAX, 2 processes": lambda: worker("keras", 4, 1900, copies=2),
        "PyTorch eager, 2 processes": lambda: worker("torch", 4, 950, copies=2),
    }
    show_rates("digits MLP, steady", race(contenders, rounds))


def devices(rounds: int) -> None:
    contenders = {
        f"{n} device{'s' * (n > 1)}": lambda n=n: worker("sweep", 32, 950, flags=DEVICES.format(n))
        for n in (2, 1)
    }
    show_rates("digits MLP, 32 runs, over CPU devices", race(contenders, rounds))


def cnn(rounds: int) -> None:
    contenders = {
        "ours, 16 runs, 2 devices": lambda: worker("sweep_cnn", 16, 57, flags=DEVICES.format(2)),
        "ours, one after another": lambda: worker("single_cnn", 4, 114),
    }
    show_rates("digits CNN, steady", race(contenders, rounds))


def command(rounds: int) -> None:
    def timed(arguments, copies=1, environment=()) -> float:
        begin = time.perf_counter()
        started = [
            subprocess.Popen(
                arguments, env=os.environ | dict(environment), stdout=subprocess.DEVNULL
            )
            for _ in range(copies)
        ]
        assert not any(process.wait() for process in started)
        return time.perf_counter() - begin

    def ours(runs: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            grid = f"optimizer.learning_rate={{log = [1e-4, 1e-1], n = {runs}}}"
            arguments = ["sweep", str(ROOT / "configs" / "digits_mlp.toml"), "--grid", grid]
            arguments += ["--set", f"train.epochs={EPOCHS}", "--run-dir", f"{folder}/run"]
            # As a user's first sweep of the day: with the compilation cache cold.
            cache = {"XDG_CACHE_HOME": folder}
            return timed([sys.executable, "-m", "jaxopt_lab.cli", *arguments], environment=cache)

    def peer(kind: str, runs: int, copies: int) -> float:
        steps = str(19 * EPOCHS)
        arguments = [sys.executable, __file__, "--worker", kind, str(runs // copies), steps]
        environment = {"OMP_NUM_THREADS": "1"} if copies > 1 else {}
        return timed(arguments, copies, environment)

    parts = {
        32: {"ours, one after another": lambda: peer("train", 32, 1)},
        256: {"PyTorch eager, 2 processes": lambda: peer("torch_fresh", 256, 2)},
    }
    for runs, peers in parts.items():
        contenders = {"ours, one program": lambda runs=runs: ours(runs), **peers}
        title = f"whole command, {runs} runs of {EPOCHS} epochs"
        show_times(title, race(contenders, rounds))


PARTS = {"steady": steady, "command": command, "cnn": cnn, "devices": devices}


def _config(name: str, sets=()):
    from jaxopt_lab.config.load import load_config

    return load_config(ROOT / "configs" / name, ["train.epochs=100000", *sets])


def _timed(turn, runs: int, steps: int) -> float:
    turn(steps)
    return seconds(lambda: [turn(steps) for _ in range(runs)])


def _sweep(name: str, sets, runs: int, steps: int) -> float:
    import jax

    from jaxopt_lab.config.groups import group_runs
    from jaxopt_lab.config.source import read
    from jaxopt_lab.config.sweep import load_sweep
    from jaxopt_lab.engine import device_mesh
    from jaxopt_lab.sweeps import Population

    grid = f"optimizer.learning_rate={{log = [1e-4, 1e-2], n = {runs}}}"
    # No evaluation cuts a chunk short: only steps are timed.
    sets = ["train.epochs=100000", "train.evaluate_every='10%'", *sets]
    plan = load_sweep(ROOT / "configs" / name, sets, [grid])
    (group,) = group_runs([run.config for run in plan.runs], read)
    population = Population(group, device_mesh(), "auto")
    place = {"wave": population.start(range(runs)), "step": 0}

    def turn(steps):
        place["wave"], *rows = population.advance(place["wave"], place["step"], steps)
        jax.device_get(rows)
        place["step"] += steps

    return _timed(turn, 1, steps)


def _single(name: str, sets, runs: int, steps: int) -> float:
    from training_loop import engine_turn

    from jaxopt_lab.config.build import build

    experiment = build(_config(name, sets))
    size = experiment.batch_size
    turn = engine_turn(experiment.init, experiment.step, experiment.train, size)
    return _timed(turn, runs, steps)


def _peer(kind: str, runs: int, steps: int) -> float:
    import numpy as np
    import training_loop

    from jaxopt_lab.config.build import build

    experiment = build(_config("digits_mlp.toml"))
    images = experiment.train["x"].astype(np.float32).reshape(-1, 64) / 255
    turn = getattr(training_loop, f"{kind}_turn")(images, experiment.train["y"])
    return _timed(turn, runs, steps)


def _torch_fresh(runs: int, steps: int) -> float:
    """Each run its own network and optimizer, as a script's loop has them; no JAX is imported."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy((images[:1221] / 16).astype(np.float32))
    y = torch.from_numpy(labels[:1221].astype(np.int64))
    layers = torch.nn
    begin = time.perf_counter()
    for rate in np.geomspace(1e-4, 1e-1, runs):
        model = layers.Sequential(
            *(layers.Linear(64, 128), layers.ReLU()),
            *(layers.Linear(128, 128), layers.ReLU(), layers.Linear(128, 10)),
        )
        optimizer = torch.optim.Adam(model.parameters(), float(rate))
        for step in range(steps):
            if step % 19 == 0:
                order = torch.randperm(len(x))
            rows = order[step % 19 * 64 : (step % 19 + 1) * 64]
            optimizer.zero_grad()
            layers.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return time.perf_counter() - begin


def _train(runs: int, steps: int) -> float:
    """Our own runs in one process, one after another."""
    import numpy as np

    import jaxopt_lab

    begin = time.perf_counter()
    for rate in np.geomspace(1e-4, 1e-1, runs):
        sets = [f"optimizer.learning_rate={rate}", f"train.steps={steps}"]
        config = jaxopt_lab.load_config(ROOT / "configs" / "digits_mlp.toml", sets)
        jaxopt_lab.train(config, progress=False)
    return time.perf_counter() - begin


WORKERS = {
    "sweep": lambda runs, steps: _sweep("digits_mlp.toml", [], runs, steps),
    "single": lambda runs, steps: _single("digits_mlp.toml", [], runs, steps),
    "sweep_cnn": lambda runs, steps: _sweep("digits_cnn.toml", CNN, runs, steps),
    "single_cnn": lambda runs, steps: _single("digits_cnn.toml", CNN, runs, steps),
    "keras": lambda runs, steps: _peer("keras", runs, steps),
    "torch": lambda runs, steps: _peer("torch", runs, steps),
    "torch_fresh": _torch_fresh,
    "train": _train,
}


if __name__ == "__main__":
    main()
