"""How a metric is named after the samples that it is of."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

V = TypeVar("V")

HELD_OUT = "val_"
"""Of the validation split: "val_loss"."""

TRAINED = "train_"
"""Of samples that were trained on, in evaluation mode and without augmentation: "train_loss"."""

ROBUST = "robust_"
"""Of samples that an adversary has moved: "robust_accuracy"."""

GRADIENT, UPDATE, WEIGHT, RATIO = "grad_norm", "update_norm", "weight_norm", "update_ratio"
"""Of a layer, with its path, "grad_norm/Conv_0"; the first by itself is of the whole gradient."""

CLIPPED = "clipped_grad_norm"
"""Of the whole gradient, as the optimizer gets it."""


def of_layer(what: str, layer: str) -> str:
    """The name of a number of one layer."""
    return f"{what}/{layer}"


def is_of_layers(name: str) -> bool:
    """Whether a column is one of those that are measured of layers, every so many steps."""
    return name in (GRADIENT, CLIPPED) or "/" in name


SKIPPED = "skipped"
"""How many steps a run has left out so far, because they were not finite."""

CURVATURE = ("top_eigenvalue", "noise_scale")
"""Of the batch of a step, every so many steps."""


def is_measured_at_times(name: str) -> bool:
    """Whether a column of training has numbers every so many steps, and NaN between."""
    return is_of_layers(name) or name in CURVATURE


def held_out(names: Iterable[str]) -> list[str]:
    """The names of these metrics on the validation split."""
    return [HELD_OUT + name for name in names]


def as_held_out(values: Mapping[str, V]) -> dict[str, V]:
    """Metrics by their names on the validation split."""
    return {HELD_OUT + name: value for name, value in values.items()}


def as_trained(values: Mapping[str, V]) -> dict[str, V]:
    """Metrics by their names on samples that were trained on, in evaluation mode."""
    return {TRAINED + name: value for name, value in values.items()}


def is_held_out(name: str) -> bool:
    """Whether a metric is of the validation split."""
    return name.startswith(HELD_OUT)


def is_of_evaluation(name: str) -> bool:
    """Whether a metric is measured at evaluations, and not on a batch of training."""
    return name.startswith((HELD_OUT, TRAINED))


def on_batch(name: str) -> str:
    """The name of the same metric on a batch of training."""
    return name.removeprefix(HELD_OUT)


def measure_of(name: str) -> str:
    """The name of the function that computes a metric: "accuracy" of "val_robust_accuracy"."""
    return on_batch(name).removeprefix(TRAINED).removeprefix(ROBUST)
