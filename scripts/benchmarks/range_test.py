"""The rate that `find-lr` suggests, over the best of a sweep, for ten networks and optimizers.

    python scripts/benchmarks/range_test.py [--steps 200] [--epochs 10]

The sweep trains at 31 rates, five a decade, each to its end by a cosine schedule; the best has the
lowest validation loss, the mean over two seeds. The loss is flat around the best, so the last
column says what the suggestion costs: the loss at the nearest of the rates over the lowest.
"""

import argparse

import numpy as np

from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.run.commands.find_lr import find_lr
from jaxopt_lab.run.commands.sweep import sweep

NETWORKS = {
    "mlp": {"name": "mlp", "hidden": [64, 64]},
    "deep mlp, batch norm": {"name": "mlp", "hidden": [64] * 6, "norm": "batch"},
    "cnn": {"name": "cnn", "channels": [8, 16]},
}
PAIRS = [
    *(("mlp", name) for name in ("sgd", "momentum", "nesterov", "rmsprop", "adam")),
    *(("deep mlp, batch norm", name) for name in ("sgd", "momentum", "adam")),
    *(("cnn", name) for name in ("momentum", "adam")),
]
RATES = {"log": [1e-5, 10.0], "n": 31}


def tables(network: str, optimizer: str, epochs: int) -> dict:
    """A configuration as `tomllib` gives it; the rate is the axis's to give."""
    return {
        "data": {"name": "digits", "batch_size": 64, "validation": 0.15},
        "model": NETWORKS[network],
        "optimizer": {"name": optimizer, "learning_rate": 1e-3},
        "loss": {"name": "softmax_cross_entropy"},
        "schedule": {"name": "cosine_decay"},
        "train": {"epochs": epochs},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="of the range test")
    parser.add_argument("--epochs", type=int, default=10, help="of a run of the sweep")
    options = parser.parse_args()
    print(f"{'':32} {'suggested':>9} {'best':>9} {'ratio':>6} {'loss/lowest':>11}")
    for network, optimizer in PAIRS:
        own = tables(network, optimizer, options.epochs)
        found = find_lr(parse_config(own), steps=options.steps, progress=False).valley
        axes = {"optimizer.learning_rate": RATES, "seeds": 2}
        result = sweep(parse_sweep(own | {"sweep": axes}), progress=False)
        firsts = [result.runs[setting.runs[0]] for setting in result.settings]
        rates = np.array([r.values["optimizer.learning_rate"] for r in firsts if r is not None])
        losses = np.array([s.mean for s in result.settings])
        nearest = np.abs(np.log(rates / found)).argmin()
        share, loss = found / rates[0], losses[nearest] / losses[0]
        name = f"{network}, {optimizer}"
        print(f"{name:32} {found:9.2g} {rates[0]:9.2g} {share:6.2f} {loss:11.2f}", flush=True)


if __name__ == "__main__":
    main()
