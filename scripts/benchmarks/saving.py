"""What a run of `configs/cifar10_resnet20.toml` costs that saves: with and without, in turn.

    python scripts/benchmarks/saving.py                  # about 20 minutes on 2 cores
    python scripts/benchmarks/saving.py --steps 40 --rounds 1
    python scripts/benchmarks/saving.py --rounds 0       # the hash of a state alone

The network, the optimizer and the augmentation are those of the file, on random images of the shape
of CIFAR-10. A run takes so many steps and saves ten times or, to compare with, at its end alone;
what is measured is the run without its compilation. Saving is to cost less than 2 % of a run, which
saves once a minute at least: so the cost of one save is told as a share of 60 seconds, too.

The hash of a state, which each evaluation's row in the log has, is timed beside the steps of it.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import jax
import numpy as np

import jaxopt_lab
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.source import read
from jaxopt_lab.engine.state_hash import in_hex, state_hash

CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "cifar10_resnet20.toml"
SAVES = 10
CLOCK = 60.0  # seconds, `train.checkpoint_seconds`
EVALUATED = 1 << 20  # steps between evaluations: none but the last


def data_of(samples: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Random images and labels of CIFAR-10's shapes."""
    draws = np.random.default_rng(0)

    def split(count):
        return draws.integers(0, 256, (count, 32, 32, 3), np.uint8), np.arange(count) % 10

    return {"train": split(samples), "test": split(100)}


def seconds_of(steps: int, saves: int, data: dict[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """Seconds of one run without its compilation."""
    changes = {
        "train.steps": steps,
        "train.checkpoint_every": steps // saves,
        "train.checkpoint_seconds": 1e9,
        "train.evaluate_every": EVALUATED,
    }
    config = jaxopt_lab.load_config(
        CONFIG, [f"{k}={v}" for k, v in changes.items()], ["train.epochs"]
    )
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "run"
        begun = time.perf_counter()
        result = jaxopt_lab.train(config, place, data=data, progress=False)
        return time.perf_counter() - begun - result.summary["compile_seconds"]


def hash_in_words(name: str) -> str:
    """What the hash of the state of a configuration takes, and the first time, compiled."""
    config = jaxopt_lab.load_config(CONFIG.with_name(f"{name}.toml"))
    given = data_of(1024) if name.startswith("cifar10") else None
    experiment = assemble(config, read(config, data=given))
    state = jax.jit(experiment.init)(jax.random.key(0))
    hashed, seconds = jax.jit(state_hash), []
    for _ in range(21):
        begun = time.perf_counter()
        in_hex(hashed(state))
        seconds.append(time.perf_counter() - begun)
    size = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    return (
        f"{name}, {size:,} parameters: {statistics.median(seconds[1:]) * 1e3:.2f} ms a hash of the "
        f"state, {seconds[0]:.2f} s the first time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in ("digits_mlp", CONFIG.stem):
        print(hash_in_words(name), flush=True)
    if not options.rounds:
        return
    data, found = data_of(1024), {SAVES: [], 1: []}
    seconds_of(SAVES, 1, data)  # what a process does once
    for k in range(options.rounds):
        for saves in sorted(found, reverse=bool(k % 2)):
            found[saves].append(seconds_of(options.steps, saves, data))
            print(f"{saves:2d} saves: {found[saves][-1]:.2f} s", flush=True)
    often, once = (statistics.median(found[saves]) for saves in (SAVES, 1))
    each = (often - once) / (SAVES - 1)
    print(f"{SAVES} saves in {options.steps} steps: {often / once:.4f} times the run with one")
    print(f"a save costs {each * 1e3:.0f} ms, {each / CLOCK:.3%} of the {CLOCK:.0f} s between two")


if __name__ == "__main__":
    main()
