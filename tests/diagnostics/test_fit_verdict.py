"""The verdict against runs that were constructed to be what they are."""

import collections

import numpy as np
import pytest

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.diagnostics import fit_verdict

# How training and validation end and how they come there, as parts of chance; t in [0, 1].
# Each is (training, validation) of t.
SHAPES = {
    "good fit": [
        lambda t: (np.exp(-9 * t), 0.02 + np.exp(-9 * t)),
        lambda t: (0.05 + np.exp(-8 * t), 0.09 + np.exp(-8 * t)),
        lambda t: (0.12 + np.exp(-12 * t), 0.12 + np.exp(-12 * t)),
    ],
    "underfitting": [
        lambda t: (0.45 + 0.5 * np.exp(-10 * t), 0.46 + 0.5 * np.exp(-10 * t)),
        lambda t: (0.7 + 0.3 * np.exp(-12 * t), 0.7 + 0.3 * np.exp(-12 * t)),
        lambda t: (0.99 + 0 * t, 1.0 + 0 * t),
    ],
    "overfitting": [
        lambda t: (np.exp(-6 * t), 0.35 + 0.65 * np.exp(-9 * t)),
        lambda t: (0.98 * np.exp(-5 * t), 1.0 + 0 * t),  # shuffled labels
        lambda t: (np.exp(-5 * t), 0.3 + 0.7 * np.exp(-12 * t) + 0.3 * t**2),
    ],
    "still improving": [
        lambda t: (1 - 0.6 * t, 1 - 0.59 * t),
        lambda t: (np.exp(-1.6 * t), 0.03 + np.exp(-1.5 * t)),
        lambda t: (0.95 * np.exp(-2.5 * t) + 0.05, 0.95 * np.exp(-2.5 * t) + 0.07),
    ],
}
SETTINGS = [  # classes (0 for regression), samples, evaluations
    (10, 1000, 12),
    (2, 2000, 60),
    (100, 5000, 30),
    (0, 500, 20),
]


def constructed(shape, classes, n, k, seed):
    """A history of k evaluations on n samples each, with the noise that n samples have."""
    rng = np.random.default_rng(seed)
    levels = shape(np.linspace(0, 1, k))
    step = np.arange(1, 10 * k + 1)
    history = {"step": step, "eval_step": step[9::10]}
    for name, level in zip(("train", "val"), levels, strict=True):
        if classes:
            chance = (classes - 1) / classes
            error = np.clip(chance * level, 0, 1)
            # The samples are the same at each evaluation, and so is most of their luck.
            luck = rng.normal() + 0.3 * rng.normal(size=k)
            error = np.clip(error + luck * np.sqrt(error * (1 - error) / n), 0, 1)
            history[f"{name}_accuracy"] = 1 - np.round(n * error) / n
            history[f"{name}_loss"] = np.log(classes) * level * (1 + 0.01 * rng.normal(size=k))
        else:
            luck = rng.normal() + 0.1 * rng.normal(size=k)
            history[f"{name}_loss"] = 9 * level * (1 + luck * np.sqrt(2 / n))
    scale = np.log(classes) if classes else 9.0
    history["loss"] = scale * np.repeat(levels[0], 10) * (1 + 0.1 * rng.normal(size=10 * k))
    history["loss"][0] = scale
    return history, (n, n), classes


RUNS = [
    pytest.param(kind, constructed(shape, *setting, seed=100 * i + j), id=f"{kind} {i} {setting}")
    for kind, shapes in SHAPES.items()
    for i, shape in enumerate(shapes)
    for j, setting in enumerate(SETTINGS)
]


@pytest.mark.parametrize(("kind", "run"), RUNS)
def test_is_what_the_run_was_constructed_to_be(kind, run):
    history, samples, classes = run
    found = fit_verdict(history, samples, classes=classes)
    assert found.kind == kind, found.sentence


def test_most_of_thousands_of_others_are_too():
    """Other sizes and draws, some too small to tell: 98 % when it was written."""
    settings = [*SETTINGS, (10, 200, 8), (2, 200, 10), (0, 100, 100), (1000, 50000, 90)]
    table = collections.Counter(
        (kind, fit_verdict(history, samples, classes=classes).kind)
        for kind, shapes in SHAPES.items()
        for shape in shapes
        for setting in settings
        for history, samples, classes in [constructed(shape, *setting, seed) for seed in range(20)]
    )
    right = sum(count for (kind, found), count in table.items() if kind == found)
    assert right > 0.95 * table.total(), table


GOOD, SAMPLES, CLASSES = constructed(SHAPES["good fit"][0], 10, 1000, 12, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": (56, np.nan)}, "loss of step 57 is nan"),
        ({"loss": (slice(100, None), np.inf)}, "loss of step 101 is inf, the first of 20"),
        ({"val_loss": (-1, np.nan)}, "val_loss of step 120 is nan"),
        ({"loss": (slice(-10, None), 40.0)}, "ended at 40, from 2.303"),
    ],
)
def test_divergence_overrides_every_verdict(change, words):
    history = {name: np.array(values, float) for name, values in GOOD.items()}
    for name, (where, value) in change.items():
        history[name][where] = value
    found = fit_verdict(history, SAMPLES, classes=CLASSES)
    assert found.kind == "diverged"
    assert words in found.sentence
    assert "smaller learning rate" in found.remedies[0]


def test_divergence_that_only_the_parameters_show():
    assert fit_verdict(GOOD, SAMPLES, classes=CLASSES, diverged=True).kind == "diverged"


def test_metrics_of_steps_are_no_evidence():
    # Heavy dropout and augmentation: the loss of steps stays high, which is no fault.
    history = GOOD | {"loss": np.full(120, 2.3), "accuracy": np.full(120, 0.3)}
    assert fit_verdict(history, SAMPLES, classes=CLASSES).kind == "good fit"


def test_a_loss_that_rises_where_the_error_does_not():
    history = GOOD | {"val_loss": np.r_[np.linspace(2, 0.2, 6), np.linspace(0.2, 0.3, 6)]}
    found = fit_verdict(history, SAMPLES, classes=CLASSES)
    assert found.kind == "good fit"
    assert "50% above its least" in found.sentence


def test_the_numbers_are_those_of_the_formulas():
    history = {
        "eval_step": np.arange(1),
        "train_accuracy": np.array([0.98]),
        "val_accuracy": np.array([0.6]),
        "train_loss": np.array([0.1]),
        "val_loss": np.array([1.5]),
    }
    found = fit_verdict(history, (900, 98), classes=4)
    assert found.kind == "overfitting"
    train, val = (0.02 * 900 + 1) / 902, (0.4 * 98 + 1) / 100
    np.testing.assert_allclose(found.evidence["gap"], 0.38)
    gap_se = np.sqrt(train * (1 - train) / 900 + val * (1 - val) / 98)
    np.testing.assert_allclose(found.evidence["gap_se"], gap_se)
    np.testing.assert_allclose(found.evidence["carried"], (0.75 - 0.4) / (0.75 - 0.02))
    assert "a gap of 38.0% ± 5.0%" in found.sentence


def test_without_held_out_samples_there_is_no_verdict():
    found = fit_verdict({"step": np.arange(3), "loss": np.ones(3)}, (1, 1))
    assert found.kind == "unknown"
    assert "data.validation" in found.remedies[0]


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        ((0, 10), {}, r"samples >= 1 and 0 < enough <= 1, got \(0, 10\)"),
        ((10, 10), {"enough": 0.0}, "got .* and 0.0"),
    ],
)
def test_numbers_that_do_not_do(samples, options, words):
    with pytest.raises(InputError, match=words):
        fit_verdict(GOOD, samples, classes=CLASSES, **options)


def test_curves_of_two_lengths():
    with pytest.raises(InputError, match=r"have \[11, 12\] evaluations"):
        fit_verdict(GOOD | {"train_accuracy": np.ones(11)}, SAMPLES, classes=CLASSES)


def test_a_short_run_is_judged_by_the_loss_of_its_steps():
    history = GOOD | {name: GOOD[name][:1] for name in GOOD if name not in ("step", "loss")}
    history["loss"] = np.linspace(2.3, 1.5, 30)
    found = fit_verdict(history, SAMPLES, classes=CLASSES)
    assert found.kind == "still improving"
    assert "over the last third" in found.sentence


def test_a_loss_that_rose_past_all_bounds_and_came_back_with_nothing_learned():
    history, samples, classes = constructed(SHAPES["underfitting"][2], 10, 1000, 12, 0)
    history["loss"][40] = 1e9
    found = fit_verdict(history, samples, classes=classes)
    assert found.kind == "diverged"
    assert "times the first" in found.sentence
