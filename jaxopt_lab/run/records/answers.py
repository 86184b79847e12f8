"""What a run says of its test split, sample by sample."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.source import IMAGE_RANK
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine import Experiment, jit_once
from jaxopt_lab.run.records import intervals
from jaxopt_lab.run.records.page import Sample, Section, picture
from jaxopt_lab.run.records.pictures import pixels_png
from jaxopt_lab.run.records.prediction import Prediction, prediction_of
from jaxopt_lab.run.records.scores import LOSS, in_words, label, numbers_of

WORST = 12
"""Samples that are shown."""

MOST_CLASSES = 60
"""Rows of a table of classes."""

MOST_NUMBERS = 4
"""Numbers of a target that are shown."""

_LONGEST = 40  # letters of a class's name


class Answers(NamedTuple):
    """A test split and what was said of it.

    Attributes:
      x: (N, ...), as the data set has it; it may be on the disk.
      y: (N, ...), what is true.
      prediction: of the N samples.
      losses: (N,), weights of samples and classes in them.
      measures: metrics that are means over samples, by name, (N,) each.
      weighted: whether samples count differently.
    """

    x: Any
    y: np.ndarray
    prediction: Prediction
    losses: np.ndarray
    measures: Mapping[str, np.ndarray]
    weighted: bool


def look_at_test(
    experiment: Experiment, params: Params, model_state: ModelState, signature: Signature
) -> Answers | None:
    """Apply a network to the test split; None where an output is not finite."""
    outputs = experiment.predict(params, model_state)
    if not np.isfinite(outputs).all():
        return None
    objective, test = experiment.objective, experiment.test
    batch = {name: jnp.asarray(values) for name, values in test.items() if name != "x"}
    # One program: each operation by itself takes as long to compile as all of them together.
    of_each = jit_once(lambda *given: (objective.values(*given), objective.each(*given)))
    values, losses = of_each(jnp.asarray(outputs), batch)
    return Answers(
        test["x"],
        np.asarray(test["y"]),
        prediction_of(outputs, signature, objective.loss),
        np.asarray(losses),
        {name: np.asarray(value) for name, value in values.items()},
        "weight" in test,
    )


def scores_section(scores: Mapping[str, Any], answers: Answers | None) -> Section:
    """The scores of the test split, those that are means over samples with an interval."""
    rows = [
        (label(name), in_words(name, value), _interval(name, answers))
        for name, value in numbers_of(scores).items()
    ]
    count = "" if answers is None else f"{len(answers.y):,} samples. "
    note = "Intervals hold the score of unseen data of the same kind in 95 % of all cases: "
    note += "Wilson's of shares, the normal distribution's of other means."
    some = any(row[2] for row in rows)
    return Section(
        "Test split",
        head=("metric", "value", "95 % interval"),
        rows=rows,
        note=count + (note if some else ""),
    )


def _interval(name: str, answers: Answers | None) -> str:
    if answers is None or answers.weighted:
        return ""
    values = answers.losses if name == LOSS else answers.measures.get(name)
    if values is None or not len(values):
        return ""
    if np.isin(values, (0, 1)).all():
        ends = intervals.wilson(float(values.sum()), len(values))
    else:
        ends = intervals.of_mean(values)
    return "" if ends is None else " to ".join(in_words(name, end) for end in ends)


def class_numbers_of(answers: Answers) -> np.ndarray:
    """The true class of each sample, (N,); of distributions the likeliest."""
    return answers.y if answers.y.ndim == 1 else answers.y.argmax(-1)


def confusion_of(answers: Answers) -> np.ndarray | None:
    """Counts (K, K), a row a true class, a column a predicted one; None where there are none."""
    index, classes = answers.prediction.index, answers.prediction.classes
    if index is None or index.ndim > 1 or not classes:
        return None
    pairs = class_numbers_of(answers) * len(classes) + index
    return np.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), -1)


def classes_section(answers: Answers) -> Section:
    """How each class, or label, is recognized; nothing for numbers."""
    confusion, index = confusion_of(answers), answers.prediction.index
    if index is None:
        return Section("")
    if confusion is not None:
        right, there, said = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    else:
        true = answers.y > 0.5
        right, there, said = (index & true).sum(0), true.sum(0), index.sum(0)
    names = answers.prediction.classes
    f1 = 2 * right / np.maximum(there + said, 1)
    shown, note = np.arange(len(names)), ""
    if len(names) > MOST_CLASSES:
        shown = np.argsort(f1, kind="stable")[:MOST_CLASSES]
        note = f"The {MOST_CLASSES} of {len(names):,} with the smallest F1."
    rows = [
        [
            _brief(names[k]),
            f"{there[k]:,}",
            _share(right[k], there[k]),
            _share(right[k], said[k]),
            _share(2 * right[k], there[k] + said[k]),
            *([_mistaken(confusion[k], k, names)] if confusion is not None else []),
        ]
        for k in shown
    ]
    kind = "class" if confusion is not None else "label"
    head = [kind, "samples", "recall", "precision", "F1"]
    head += ["most taken for"] if confusion is not None else []
    return Section(
        "Class by class" if confusion is not None else "Label by label",
        head=head,
        rows=rows,
        note=note,
    )


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _mistaken(row: np.ndarray, k: int, names: Sequence[str]) -> str:
    others = np.where(np.arange(len(row)) == k, 0, row)
    most = int(others.argmax())
    return f"{_brief(names[most])} ({others[most]:,})" if others[most] else "-"


def worst_first(losses: np.ndarray) -> np.ndarray:
    """The numbers of the `WORST` samples of the largest losses, the worst first; NaN is worst."""
    return np.argsort(-np.where(np.isnan(losses), np.inf, losses), kind="stable")[:WORST]


def worst_section(answers: Answers) -> Section:
    """The samples of the largest loss: pictures where they are images, else rows."""
    order = worst_first(answers.losses)
    images = is_image(answers.x)
    note = "" if images else "Rows of the test split are counted from 0."
    title = f"The {len(order)} samples of the largest loss"
    words = [_words(answers, i) for i in order]
    if not images:
        head = ("row", *words[0], "loss") if words else ()
        rows = [
            (f"{i:,}", *own.values(), f"{answers.losses[i]:.4g}")
            for i, own in zip(order, words, strict=True)
        ]
        return Section(title, head=head, rows=rows, left=3, note=note)
    samples = []
    for i, own in zip(order, words, strict=True):
        pixels = np.asarray(answers.x[int(i)])
        pictures = [picture("sample", pixels_png(pixels))]
        numbers = answers.prediction.numbers
        if numbers is not None and numbers[i].size == pixels.size:  # of an autoencoder
            again = np.clip(numbers[i].reshape(pixels.shape), 0, 1)
            pictures.append(picture("its reconstruction", pixels_png(again)))
        lines = [f"{name} {text}" for name, text in own.items() if text]
        samples.append(Sample(pictures, [*lines, f"loss {answers.losses[i]:.4g}"]))
    return Section(title, samples=samples, note=note)


def _words(answers: Answers, i: int) -> dict[str, str]:
    """What is true of a sample and what was predicted, by column."""
    prediction = answers.prediction
    index, names, probabilities = prediction.index, prediction.classes, prediction.probabilities
    if prediction.numbers is not None:
        true, said = np.ravel(answers.y[i]), np.ravel(prediction.numbers[i])
        if len(true) > MOST_NUMBERS:
            return {}
        return {"true": _numbers(true), "predicted": _numbers(said)}
    assert index is not None
    if index.ndim > 1:
        said = [_brief(names[k]) for k in np.flatnonzero(index[i])]
        true = [_brief(names[k]) for k in np.flatnonzero(answers.y[i] > 0.5)]
        return {"true": ", ".join(true) or "none", "predicted": ", ".join(said) or "none"}
    true, said = int(class_numbers_of(answers)[i]), int(index[i])
    found = {"true": _brief(names[true]), "predicted": _brief(names[said])}
    if probabilities is not None:
        found["true"] += f" ({probabilities[i, true]:.1%})"
        found["predicted"] += f" ({probabilities[i, said]:.1%})"
    return found


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _brief(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def is_image(x: Any) -> bool:
    """Whether samples (N, ...) are images to show."""
    return x.ndim == IMAGE_RANK + 1 and x.shape[-1] in (1, 3, 4) and min(x.shape[1:3]) > 1
