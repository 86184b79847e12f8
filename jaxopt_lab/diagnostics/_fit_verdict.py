"""Whether a run underfits, fits, overfits, diverged, or goes on improving."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.diagnostics.explosion import EXPLODED, ending, exploded

Kind = Literal["diverged", "still improving", "overfitting", "underfitting", "good fit", "unknown"]

REMEDIES: dict[Kind, tuple[str, ...]] = {
    "diverged": (
        "A smaller learning rate, or a warm-up to it.",
        "Clipping of the gradient's norm.",
        "An initialization that keeps the variance of every layer, and normalization.",
    ),
    "still improving": (
        "More epochs.",
        "A larger learning rate, or a schedule that decays later.",
        "Momentum or an adaptive method.",
    ),
    "overfitting": (
        "More data.",
        "Augmentation, which is data of the vicinity: noise, crops and flips, Cutout, Mixup.",
        "Regularization: weight decay, dropout.",
        "Early stopping.",
        "A smaller network.",
    ),
    "underfitting": (
        "A larger network: wider, deeper, or residual.",
        "Less regularization and augmentation.",
        "Another learning rate, more epochs, another optimizer.",
        "An initialization and normalization that let the gradient through.",
    ),
    "good fit": (),
    "unknown": ("Hold out a validation split, such as data.validation = 0.15.",),
}

# Of the margin over chance that training samples show, the part that held-out ones must show too.
CARRIED = 0.9
# Standard errors beyond which a difference is no accident.
SIGNIFICANT = 2.0
# A loss falls, or has risen, by a part of itself that is worth a word.
MATERIAL = 0.05
# Evaluations without which a trend says nothing.
FEWEST = 6


class FitVerdict(NamedTuple):
    """What a run's curves say.

    Attributes:
      kind: the verdict; "unknown" where nothing was held out.
      brief: the verdict in a few words, with the two levels.
      sentence: why, in words with the numbers.
      evidence: the numbers: `train`, `val`, their `gap` and its standard error `gap_se`, the level
        `chance` that knows nothing, the part `carried` of the margin over it that held-out samples
        show too, `trend`, by what part the validation loss fell over the last sixth of the run
        (that of steps over the last third where there are fewer than 6 evaluations), and `rise`, by
        what part it is above its least.
      remedies: what the course would try, the first first.
    """

    kind: Kind
    brief: str
    sentence: str
    evidence: dict[str, float]
    remedies: tuple[str, ...]


def fit_verdict(
    history: Mapping[str, np.ndarray],
    samples: tuple[int, int],
    *,
    classes: int = 0,
    enough: float = 0.8,
    baseline: float | None = None,
    diverged: bool | str = False,
) -> FitVerdict:
    """Judge a run by what it measured in evaluation mode on training and on held-out samples.

    With E the error (1 - accuracy), or the loss where there is no accuracy, C its level by chance,
    and the standard error s of the gap of two means over n samples,

        gap = E_val - E_train,        s^2 = E_val (1 - E_val) / n_val + the same of training,
        carried = (C - E_val) / (C - E_train)

    In this order a run
    - diverged, if any loss is not finite, if the last is ten times the first, or if one was and
      nothing is learned at the end;
    - is still improving, if its validation loss fell by 5 % of itself over the last sixth;
    - overfits, if the gap is beyond 2 s and less than nine tenths of what it learned carries over
      to samples that it has not seen, or if its validation error rose from its least by as much;
    - underfits, if its margin over chance on training samples is below `enough`;
    - fits well otherwise.

    A validation loss that rises where the error does not is no overfitting here. It is said, and
    `calibration` tells whether the probabilities have become too sure.

    Args:
      history: `loss` (n,) of the steps; `eval_step`, `train_loss`, `val_loss` (k,) and, of a
        classifier, `train_accuracy` and `val_accuracy` (k,) in [0, 1]. `train_` is of evaluation
        mode without augmentation: the metrics of steps cannot be compared with those of validation.
      samples: how many the `train_` and the `val_` metrics are means of.
      classes: of a classifier, for its error by chance, (classes - 1) / classes.
      enough: the margin over chance on training samples that is no underfitting, in (0, 1].
      baseline: the loss of what knows nothing, where there is no accuracy; None for the first loss.
      diverged: whether the run is known to have diverged, such as by parameters that are not
        finite; or how, in words.

    Returns:
      A `FitVerdict`.

    Raises:
      InputError: where the numbers do not fit each other.

    Reference: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 5.2; the standard
      error is that of a proportion, or of a mean of squares of normal numbers.
    """
    if min(samples) < 1 or not 0 < enough <= 1:
        raise InputError(
            f"fit_verdict: needs samples >= 1 and 0 < enough <= 1, got {samples} and {enough}"
        )
    if found := _divergence(history, diverged):
        return _verdict("diverged", found)
    if not len(history.get("val_loss", ())) or not len(history.get("train_loss", ())):
        return _verdict("unknown", "Nothing was held out, so nothing can be compared.")

    name, chance, curves = _curves(history, classes, baseline)
    last = max(1, min(5, len(curves[0]) // 10))
    train, val = (float(c[-last:].mean()) for c in curves)
    variances = [_variance(e, n, name) for e, n in zip((train, val), samples, strict=True)]
    gap, gap_se = val - train, float(np.sqrt(sum(variances)))
    learned = chance - train
    carried = (chance - val) / learned if learned > 0 else 1.0
    val_loss = np.asarray(history["val_loss"], float)
    if len(val_loss) >= FEWEST:
        trend, span = _trend(val_loss, 6), "sixth"
    else:  # too few; the loss of steps is compared with itself alone
        trend, span = _trend(np.asarray(history.get("loss", ())), 3), "third"
    rise = float(val_loss[-last:].mean() / max(val_loss.min(), 1e-12) - 1)
    worse = val - _least(curves[1], last)
    evidence = {
        "train": train,
        "val": val,
        "gap": gap,
        "gap_se": gap_se,
        "chance": chance,
        "carried": carried,
        "trend": trend,
        "rise": rise,
    }
    write = (lambda v: f"{v:.1%}") if name == "error" else (lambda v: f"{v:.4g}")
    levels = f"{name} {write(train)} train, {write(val)} held out"
    numbers = (
        f"the {name} is {write(train)} on training samples and {write(val)} on held-out ones, a "
        f"gap of {write(gap)} ± {write(gap_se)}"
    )
    apart = gap > SIGNIFICANT * gap_se and carried < CARRIED and learned > MATERIAL * chance
    turned = worse > SIGNIFICANT * np.sqrt(variances[1]) and worse > MATERIAL * (
        chance - val + worse
    )
    if learned <= MATERIAL * chance and (peak := _peak(history)) > EXPLODED:
        text = f"the loss rose to {peak:.3g} times the first, and nothing is learned at the end"
        return _verdict("diverged", text, evidence, levels)
    if trend > MATERIAL and not turned:
        text = f"the loss fell by {trend:.0%} over the last {span} of the run"
        return _verdict("still improving", f"{text}; {numbers}", evidence, levels)
    if apart or turned:
        since = f"; the validation {name} was {write(val - worse)} before" if turned else ""
        return _verdict("overfitting", numbers + since, evidence, levels)
    if learned < enough * chance:
        text = f"{numbers}, where chance is {write(chance)}"
        return _verdict("underfitting", text, evidence, levels)
    rose = rise > MATERIAL and name == "error"
    more = f"; the validation loss is {rise:.0%} above its least" if rose else ""
    return _verdict("good fit", numbers + more, evidence, levels)


def _verdict(
    kind: Kind, text: str, evidence: dict[str, float] | None = None, levels: str = ""
) -> FitVerdict:
    sentence = text[0].upper() + text[1:].rstrip(".") + "."
    brief = f"{kind}: {levels}" if levels else kind
    return FitVerdict(kind, brief, sentence, evidence or {}, REMEDIES[kind])


def _curves(
    history: Mapping[str, np.ndarray], classes: int, baseline: float | None
) -> tuple[str, float, list[np.ndarray]]:
    """What is compared: its name, its level by chance, and its curves of training and held out."""
    if classes > 1 and "val_accuracy" in history and "train_accuracy" in history:
        name, chance = "error", (classes - 1) / classes
        curves = [1 - np.asarray(history[k], float) for k in ("train_accuracy", "val_accuracy")]
    else:
        name, losses = "loss", np.asarray(history.get("loss", ()), float)
        curves = [np.asarray(history[k], float) for k in ("train_loss", "val_loss")]
        first = losses[0] if len(losses) else max(c[0] for c in curves)
        chance = float(first if baseline is None else baseline)
    lengths = [len(c) for c in curves]
    if lengths[0] != lengths[1]:
        raise InputError(
            f"fit_verdict: train and validation have {lengths} evaluations, expected as many of "
            "one as of the other"
        )
    return name, chance, curves


def _divergence(history: Mapping[str, np.ndarray], known: bool | str) -> str | None:
    """How the run diverged, in words; None where it did not."""
    if isinstance(known, str):
        return known
    for steps, name in (("step", "loss"), ("eval_step", "train_loss"), ("eval_step", "val_loss")):
        values = np.asarray(history.get(name, ()), float)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            at = int(history[steps][bad[0]]) if steps in history else int(bad[0]) + 1
            often = f", the first of {len(bad):,}" if len(bad) > 1 else ""
            return f"the {name} of step {at:,} is {values[bad[0]]}{often}"
        if exploded(values):
            return f"the {name} ended at {ending(values):.4g}, from {values[0]:.4g} at first"
    return "its parameters are not finite" if known else None


def _peak(history: Mapping[str, np.ndarray]) -> float:
    """The largest loss of a step over the first."""
    losses = np.asarray(history.get("loss", ()), float)
    return float(losses.max() / losses[0]) if len(losses) and losses[0] > 0 else 0.0


def _variance(level: float, n: int, name: str) -> float:
    """Of a mean over n samples: of a proportion, or of squares of normal numbers."""
    if name == "error":
        # One more of each kind: no error in n samples is not surely none.
        p = (level * n + 1) / (n + 2)
        return p * (1 - p) / n
    return 2 * level**2 / n


def _trend(values: np.ndarray, parts: int) -> float:
    """By what part of itself a curve fell to its last sixth or so from the one before it.

    Zero where that is within the noise.
    """
    if len(values) < FEWEST:
        return 0.0
    size = len(values) // parts
    before, after = values[-2 * size : -size], values[-size:]
    noise = np.diff(values[-(len(values) // 2) :]).std() / np.sqrt(2)
    fall = before.mean() - after.mean()
    if fall < SIGNIFICANT * noise * np.sqrt(2 / size):
        return 0.0
    return float(fall / max(abs(after.mean()), 1e-12))


def _least(values: np.ndarray, last: int) -> float:
    """The least of a curve's running means, because the least of many noisy values is too low."""
    return float(np.convolve(values, np.ones(last) / last, "valid").min())
