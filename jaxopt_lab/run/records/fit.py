"""The verdict on a run's fit, from its own log."""

from collections.abc import Mapping

import numpy as np

from jaxopt_lab.diagnostics import FitVerdict, fit_verdict
from jaxopt_lab.engine import Experiment


def judge_fit(
    experiment: Experiment, history: Mapping[str, np.ndarray], *, diverged: bool
) -> FitVerdict:
    """Judge a run by its history; the experiment, with its data, knows of how many samples."""
    splits = experiment.train_sample, experiment.validation
    train, held_out = (len(split["y"]) if split else 1 for split in splits)
    return fit_verdict(
        history, (train, held_out), classes=len(experiment.classes), diverged=diverged
    )
