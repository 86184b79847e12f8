"""The verdict on a run's fit, from its own log."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.metrics import SKIPPED
from jaxopt_lab.diagnostics import FitVerdict, fit_verdict
from jaxopt_lab.diagnostics.explosion import EXPLODED, ending, exploded
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.records.history import EVAL_STEP, STEP


def judge_fit(
    experiment: Experiment, history: Mapping[str, np.ndarray], *, diverged: bool | str
) -> FitVerdict:
    """Judge a run by its history; the experiment, with its data, knows of how many samples."""
    history = without_skipped(history)
    splits = experiment.train_sample, experiment.validation
    train, held_out = (len(split["y"]) if split else 1 for split in splits)
    return fit_verdict(
        history,
        (train, held_out),
        classes=len(experiment.classes),
        baseline=_of_the_mean(experiment, history),
        diverged=diverged,
    )


def has_diverged(history: Mapping[str, np.ndarray]) -> bool:
    """Whether a run whose parameters are finite has diverged all the same.

    So it has if its loss, on the validation split or in training, ends at what is not finite or at
    ten times the first.
    """
    history = without_skipped(history)
    for name in ("val_loss", "loss"):
        values = history.get(name, ())
        if len(values) and (not np.isfinite(ending(values)) or exploded(values)):
            return True
    return False


def last_sound_step(history: Mapping[str, np.ndarray]) -> int:
    """The last step up to which no loss was what `has_diverged` calls diverged; 0 for none."""
    history, found = without_skipped(history), []
    for name, at in (("val_loss", EVAL_STEP), ("loss", STEP)):
        if len(history.get(name, ())):
            values = np.asarray(history[name], np.float64)
            sound = np.isfinite(values) & (values <= EXPLODED * abs(values[0]))
            found.append(int(history[at][sound][-1]) if sound.any() else 0)
    return min(found, default=0)


def without_skipped(history: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """A history without the losses of steps that were left out because they were not finite.

    A run that left out every step has no other, and is judged by these.
    """
    taken = np.isfinite(history["loss"]) if SKIPPED in history else np.zeros(0, bool)
    if not taken.any():
        return history
    return {**history, "step": history["step"][taken], "loss": history["loss"][taken]}


def _of_the_mean(experiment: Experiment, history: Mapping[str, np.ndarray]) -> float | None:
    """The loss of one answer for all, where the targets are numbers: their mean.

    The first loss, of outputs near zero, is far above it where targets are far from zero. Of a loss
    whose outputs are no means, such as the logarithms of rates, the first one is the lower.
    """
    if experiment.train_sample is None or experiment.classes:
        return None
    batch = {k: jnp.asarray(v) for k, v in experiment.train_sample.items() if k != "x"}
    y = batch["y"]
    if not jnp.issubdtype(y.dtype, jnp.floating):
        return None
    mean = y.reshape(len(y), -1).mean(0)
    outputs = jnp.broadcast_to(mean, (len(y), len(mean)))
    found = float(experiment.objective.each(outputs, batch).mean())
    return min([found, *map(float, history.get("loss", ())[:1])])
