"""Keras' `mode="auto"`."""

from typing import Literal

KerasMode = Literal["auto", "min", "max"]


def resolved(mode: KerasMode, monitor: str) -> Literal["min", "max"]:
    """The direction that "auto" means: up for accuracies, down for all else."""
    if mode == "auto":
        return "max" if "acc" in monitor else "min"
    return mode
