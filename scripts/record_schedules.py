"""Record what Keras and PyTorch compute, for the tests of `schedules` and `control`.

    python scripts/record_schedules.py            # write tests/references/schedules_*.json
    python scripts/record_schedules.py --check    # run the libraries again and compare

Needs the extra `parity` (torch 2.13.0, Keras 3); the tests read the records and need neither. A
record is a list of cases, each with our arguments and their values. Metrics are multiples of 1/64,
so that ties are ties in every precision.
"""

import argparse
import json
import math
import os
import pathlib
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import keras
import torch

FOLDER = pathlib.Path(__file__).parents[1] / "tests" / "references"
STEPS = [*range(32), 40, 49, 50, 51, 63, 64, 65, 99, 100, 101, 127, 128, 150, 199]
Case = dict[str, Any]


def keras_schedules() -> Iterator[Case]:
    schedules = keras.optimizers.schedules
    decay: dict[str, Any]

    def case(name: str, arguments: dict[str, Any], theirs: Callable[[int], Any]) -> Case:
        values = [float(theirs(k)) for k in STEPS]
        return {"name": name, "arguments": arguments, "steps": STEPS, "values": values}

    for staircase in (False, True):
        decay = {"rate": 0.8, "every": 7, "staircase": staircase, "peak": 0.5}
        yield case("exponential_decay", decay, schedules.ExponentialDecay(0.5, 7, 0.8, staircase))
        yield case("inverse_time_decay", decay, schedules.InverseTimeDecay(0.5, 7, 0.8, staircase))
    for power in (1.0, 0.5, 2.0):
        for cycle in (False, True):
            decay = {"steps": 50, "peak": 0.5, "end": 0.1, "power": power, "cycle": cycle}
            theirs = schedules.PolynomialDecay(0.5, 50, 0.1, power, cycle)
            yield case("polynomial_decay", decay, theirs)
    yield case(
        "cosine_decay",
        {"steps": 100, "peak": 0.5, "end": 0.1},
        schedules.CosineDecay(0.5, 100, alpha=0.2),
    )
    for t_mult, m_mult in ((1, 1.0), (1, 0.7), (2, 1.0), (2, 0.5), (3, 0.9)):
        yield case(
            "sgdr",
            # Every cycle in these steps begins at a step whose quotient float32 knows exactly.
            {"cycle": 8, "t_mult": t_mult, "m_mult": m_mult, "peak": 0.5, "end": 0.1},
            schedules.CosineDecayRestarts(0.5, 8, float(t_mult), m_mult, alpha=0.2),
        )


def torch_schedules() -> Iterator[Case]:
    """PyTorch's schedulers with many arguments each, and the rate of every step."""
    lr_scheduler = torch.optim.lr_scheduler

    def cases(
        name: str,
        arguments: dict[str, Any],
        make: Callable[[torch.optim.Optimizer], Any],
        momentum: dict[str, Any] | None = None,
        count: int = 200,
    ) -> Iterator[Case]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
        scheduler = make(optimizer)
        rates, momenta = [], []
        for _ in range(count):
            (group,) = optimizer.param_groups
            rates.append(group["lr"])
            momenta.append(group["momentum"])
            optimizer.step()
            scheduler.step()
        steps = [k for k in STEPS if k < count]
        for given, values in ((arguments, rates), (momentum, momenta)):
            if given is not None:
                row = [values[k] for k in steps]
                yield {"name": name, "arguments": given, "steps": steps, "values": row}

    yield from cases(
        "step_decay",
        {"every": 30, "factor": 0.3, "peak": 0.5},
        lambda o: lr_scheduler.StepLR(o, 30, 0.3),
    )
    yield from cases(
        "step_decay",
        {"at": [50, 20, 127], "factor": 0.3, "peak": 0.5},
        lambda o: lr_scheduler.MultiStepLR(o, [50, 20, 127], 0.3),
    )
    yield from cases(
        "polynomial_decay",
        {"steps": 100, "power": 0.9, "peak": 0.5},
        lambda o: lr_scheduler.PolynomialLR(o, 100, 0.9),
    )
    for mode in ("triangular", "triangular2", "exp_range"):
        for up, down in ((10, None), (7, 13)):
            same = {"up": up, "down": down, "mode": mode, "gamma": 0.99}
            yield from cases(
                "cyclical",
                {**same, "base": 0.1, "peak": 0.6},
                lambda o, up=up, down=down, mode=mode: lr_scheduler.CyclicLR(
                    o,
                    base_lr=0.1,
                    max_lr=0.6,
                    step_size_up=up,
                    step_size_down=down,
                    mode=mode,
                    gamma=0.99,
                    base_momentum=0.8,
                    max_momentum=0.95,
                ),
                momentum={**same, "base": 0.95, "peak": 0.8},
            )
    for t_mult in (1, 2, 3):
        yield from cases(
            "sgdr",
            {"cycle": 7, "t_mult": t_mult, "peak": 0.5, "end": 0.1},
            lambda o, t_mult=t_mult: lr_scheduler.CosineAnnealingWarmRestarts(o, 7, t_mult, 0.1),
        )
    for anneal in ("cos", "linear"):
        for three_phase in (False, True):
            for steps, rise in ((100, 0.3), (77, 0.45)):
                same = {
                    "steps": steps,
                    "rise": rise,
                    "anneal": anneal,
                    "three_phase": three_phase,
                }
                yield from cases(
                    "one_cycle",
                    {**same, "peak": 0.5},
                    lambda o, steps=steps, rise=rise, anneal=anneal, three_phase=three_phase: (
                        lr_scheduler.OneCycleLR(
                            o,
                            max_lr=0.5,
                            total_steps=steps,
                            pct_start=rise,
                            anneal_strategy=anneal,
                            three_phase=three_phase,
                        )
                    ),
                    momentum={**same, "peak": 0.85, "start": 0.95, "end": 0.95},
                    count=steps,
                )


def metric_sequence(draw: random.Random, length: int = 40, first_is_finite: bool = True) -> list:
    """A noisy descent through zero that often stands still, in multiples of 1/64, NaN at times."""
    level, values = draw.randint(0, 200), []
    for i in range(length):
        level += draw.choice([0, 0, 0, -16, -3, -1, 1, 3, 8])
        bad = draw.random() < 0.05 and not (i == 0 and first_is_finite)
        values.append(math.nan if bad else level / 64)
    return values


def plateau() -> Iterator[Case]:
    draw = random.Random(0)
    for i in range(120):
        rule = ("keras", "torch")[i % 2]
        given: dict[str, Any] = {
            "rule": rule,
            "mode": draw.choice(["min", "max"]),
            "factor": draw.choice([0.5, 0.25, 0.1]),
            "patience": draw.choice([0, 1, 2, 3, 5]),
            "cooldown": draw.choice([0, 0, 1, 2, 4]),
            "threshold": draw.choice([0.0, 1 / 64, 1 / 8]),
            "threshold_mode": "absolute",
            "floor": draw.choice([0.0, 0.0, 0.01, 0.3, 2.0]),
            "learning_rate": 0.5,
        }
        metrics = metric_sequence(draw)
        if rule == "torch" and draw.random() < 0.5:
            # PyTorch's relative threshold has the wrong sign for a negative metric: none here.
            given["threshold_mode"] = "relative"
            metrics = [m + 16 for m in metrics]
        run = keras_plateau if rule == "keras" else torch_plateau
        yield {"arguments": given, "metrics": metrics, "learning_rates": run(given, metrics)}


def keras_plateau(given: dict[str, Any], metrics: list[float]) -> list[float]:
    callback = keras.callbacks.ReduceLROnPlateau(
        "val_loss",
        factor=given["factor"],
        patience=given["patience"],
        mode=given["mode"],
        min_delta=given["threshold"],
        cooldown=given["cooldown"],
        min_lr=given["floor"],
    )
    model = SimpleNamespace(optimizer=keras.optimizers.SGD(given["learning_rate"]))
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, metric in enumerate(metrics):
        callback.on_epoch_end(epoch, {"val_loss": metric})
        rates.append(float(model.optimizer.learning_rate))
    return rates


def torch_plateau(given: dict[str, Any], metrics: list[float]) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=given["learning_rate"])
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        given["mode"],
        factor=given["factor"],
        patience=given["patience"],
        threshold=given["threshold"],
        threshold_mode=given["threshold_mode"][:3],
        cooldown=given["cooldown"],
        min_lr=given["floor"],
        eps=0.0,
    )
    rates = []
    for metric in metrics:
        scheduler.step(metric)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


class Stub:
    """What `EarlyStopping` asks of a model; its one weight is the number of the epoch."""

    stop_training = False
    optimizer = SimpleNamespace()
    epoch = 0

    def get_weights(self) -> int:
        return self.epoch

    def set_weights(self, weights: int) -> None:
        self.epoch = weights


def early_stopping() -> Iterator[Case]:
    """Keras' EarlyStopping on drawn measurements: where it stops, and the best epoch."""
    draw = random.Random(1)
    for _ in range(100):
        given: dict[str, Any] = {
            "mode": draw.choice(["min", "max"]),
            "patience": draw.choice([0, 1, 2, 3, 5, 8, 40]),
            "min_delta": draw.choice([0.0, 1 / 64, 1 / 8]),
            "baseline": draw.choice([None, None, 1.0]),
            "start_from": draw.choice([0, 0, 3]),
        }
        # Keras takes a NaN that comes first as the best: finite as long as it may be the first.
        metrics = metric_sequence(draw)
        metrics[: given["start_from"] + 1] = [1.0 + given["min_delta"]] * (given["start_from"] + 1)
        callback = keras.callbacks.EarlyStopping(
            "val_loss",
            min_delta=given["min_delta"],
            patience=given["patience"],
            mode=given["mode"],
            baseline=given["baseline"],
            restore_best_weights=True,
            start_from_epoch=given["start_from"],
        )
        model = Stub()
        callback.set_model(model)
        callback.on_train_begin()
        stopped = None
        for epoch, metric in enumerate(metrics):
            model.epoch = epoch
            callback.on_epoch_end(epoch, {"val_loss": metric})
            if model.stop_training:
                stopped = epoch
                break
        callback.on_train_end()
        yield {
            "arguments": given,
            "metrics": metrics,
            "stopped_at": stopped,
            "best_epoch": model.epoch,
        }


RECORDS = {
    "schedules_keras": (keras_schedules, {"keras": keras.__version__}),
    "schedules_torch": (torch_schedules, {"torch": torch.__version__}),
    "schedules_plateau": (plateau, {"keras": keras.__version__, "torch": torch.__version__}),
    "schedules_early_stopping": (early_stopping, {"keras": keras.__version__}),
}


def rounded(value: Any) -> Any:
    """Nine significant digits, and NaN as null: what a record holds."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.9g}")
    return value


def close(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-7)
    return a == b


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    different = []
    for name, (cases, versions) in RECORDS.items():
        path = FOLDER / f"{name}.json"
        found = [rounded(case) for case in cases()]
        if check:
            if not close(json.loads(path.read_text())["cases"], found):
                different.append(path.name)
            continue
        rows = ",\n".join(json.dumps(case) for case in found)
        path.write_text(f'{{"libraries": {json.dumps(versions)}, "cases": [\n{rows}\n]}}\n')
    if different:
        print("these no longer agree with the libraries: " + ", ".join(different), file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
