"""Plots draw what they are given, and take what a short or broken run gives."""

import numpy as np
import pytest
from matplotlib.text import Text

from jaxopt_lab.plots import PLOTS, figure_png
from jaxopt_lab.plots.curves import smoothed

STEP = np.arange(1, 101)
FULL = {
    "step": STEP,
    "loss": np.exp(-STEP / 30),
    "accuracy": 1 - np.exp(-STEP / 30),
    "learning_rate": 1 / STEP,
    "eval_step": STEP[::10],
    "val_loss": np.exp(-STEP[::10] / 30),
    "val_accuracy": 1 - np.exp(-STEP[::10] / 30),
}
ONE = {k: v[:1] for k, v in FULL.items()}
BROKEN = {
    k: np.where(np.arange(len(v)) > 5, np.nan, v) if "step" not in k else v for k, v in FULL.items()
}


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize(
    "history", [FULL, ONE, BROKEN, {}, {k: v for k, v in FULL.items() if "val" not in k}]
)
def test_draws(name, history):
    assert figure_png(PLOTS[name](history)).startswith(b"\x89PNG")


@pytest.mark.parametrize("clean", [None, 0.1, 0.9])
@pytest.mark.parametrize("share", [True, False])
def test_a_corruption_table_begins_with_what_is_lost_most(clean, share):
    scores = {"fog": [0.2, 0.5], "snow": [np.nan, 0.8], "frost": [0.3, 0.3]}
    figure = PLOTS["corruption_table"]({"scores": scores, "clean": clean, "share": share})
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["snow", "fog", "frost"]
    assert ("0.5" if not share else "50.0") in [text.get_text() for text in axes.texts]


def test_compared_curves_have_a_mean_at_the_steps_that_all_have():
    x, y = [np.array([1, 2, 3]), np.array([2, 3])], [np.array([1.0, 2, 3]), np.array([4.0, 5])]
    axes = PLOTS["compared_curves"]({"x": x, "y": y, "label": ["A", "A"]}).axes[0]
    np.testing.assert_array_equal(axes.lines[-1].get_xydata(), [[2, 3], [3, 4]])
    assert len(axes.lines) == 3


def test_of_settings_that_share_a_value_the_best_is_drawn():
    """Two seeds a setting; at x = 1 the second setting is the better one, at x = 2 the first."""
    sweep = {
        "x": [1, 1, 1, 1, 2, 2, 2, 2],
        "score": [5.0, 7, 1, 3, 2, 2, 9, np.nan],
        "setting": [0, 0, 1, 1, 2, 2, 3, 3],
    }
    for higher, expected in ((False, [2, 2]), (True, [6, 9])):
        line = PLOTS["axis_curve"](sweep | {"higher": higher}).axes[0].lines[0]
        np.testing.assert_array_equal(line.get_ydata(), expected)


X, Y = np.linspace(-1, 1, 7), np.linspace(-2, 2, 5)
PLANE = Y[:, None] ** 2 + X**2
HOLES = np.where(PLANE > 4, np.nan, PLANE)


@pytest.mark.parametrize(
    "surface",
    [
        {"x": X, "y": Y, "values": PLANE + 1, "path": [[1, 1], [0, 0]], "explained": [0.9, 0.1]},
        {"x": X, "y": Y, "values": HOLES, "title": "with holes"},
        {"x": X, "y": Y, "values": np.full(PLANE.shape, np.nan)},
        {"x": X, "y": Y, "values": np.ones(PLANE.shape)},
        {"x": X, "values": X**2},
        {"x": X, "values": {"loss": X**2, "error": np.abs(X)}},
    ],
)
def test_a_surface_draws_what_there_is_of_it(surface):
    axes = PLOTS["loss_surface"](surface)
    assert figure_png(axes).startswith(b"\x89PNG")
    has_levels = np.ndim(surface["values"]) == 2 and np.nanmax(surface["values"], initial=0) > 1
    assert bool(axes.axes[0].collections) == has_levels


def test_a_spectrum_has_its_eigenvalues_and_says_its_width():
    density = np.exp(-((STEP - 50) ** 2) / 8)
    spectrum = {"grid": STEP, "density": density, "width": 2.0, "eigenvalues": [49, 51]}
    axes = PLOTS["spectral_density"](spectrum).axes[0]
    assert axes.get_yscale() == "log"
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["density, Gaussians of width 2", "top eigenvalues"]
    for broken in ({"grid": STEP, "density": np.full(100, np.nan)}, {"eigenvalues": []}):
        assert figure_png(PLOTS["spectral_density"](broken)).startswith(b"\x89PNG")


def flow(count):
    """Norms of so many layers, with a 0 and a NaN."""
    grad = np.geomspace(1e-9, 1, count)
    update = np.where(np.arange(count) == 1, 0, grad / 10)
    broken = np.where(np.arange(count) == 2, np.nan, grad)
    names = [f"Dense_{i}" for i in range(count)]
    return {"layers": names, "param_rms": np.ones(count), "grad_rms": broken, "update_rms": update}


@pytest.mark.parametrize("count", [1, 5, 60])
def test_layer_norms_shows_what_a_log_scale_cannot(count):
    figure = PLOTS["layer_norms"](flow(count))
    (axes,) = figure.axes
    lines = [line for line in axes.get_lines() if line.get_label() in ("gradients", "updates")]
    assert [np.isfinite(line.get_ydata()).sum() for line in lines] == (
        [1, 1] if count == 1 else [count - 1, count - 1]
    )
    marks = [line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert count == 1 or [list(x) for x in marks] == [[2], [1]]
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert ("Dense_0" in labels) == (count < 60)
    assert figure_png(figure).startswith(b"\x89PNG")


def test_activation_fractions_leaves_out_layers_without_an_activation():
    health = {
        "layers": ["a", "b", "c"], "names": ["relu", "none", "tanh"],
        "dead": np.array([0.25, 0, np.nan]), "saturated": np.array([0.5, 0, 0.1]),
    }  # fmt: skip
    figure = PLOTS["activation_fractions"](health)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a, relu", "c, tanh"]
    assert [bar.get_width() for bar in axes.patches][::2] == [0.25, 0.5]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_reliability_diagram_draws_the_bins_that_have_samples():
    bins = {
        "confidence": np.array([np.nan, 0.4, 0.7, 0.95]),
        "accuracy": np.array([np.nan, 0.6, 0.7, 0.8]),
        "count": np.array([0, 3, 10, 40]), "ece": 0.1,
    }  # fmt: skip
    figure = PLOTS["reliability_diagram"](bins)
    above, below = figure.axes
    heights = [bar.get_height() for bar in above.patches]
    np.testing.assert_allclose(heights, [np.nan, 0.6, 0.7, 0.8, np.nan, -0.2, 0, 0.15])
    assert [bar.get_height() for bar in below.patches] == [0, 3, 10, 40]
    assert above.get_title() == "ECE 0.1"
    assert figure_png(figure).startswith(b"\x89PNG")


def test_smoothing_is_unbiased_and_passes_over_what_is_not_finite():
    np.testing.assert_allclose(smoothed(np.ones(5), 3), 1)
    np.testing.assert_allclose(smoothed(np.array([1.0, np.nan, 1.0]), 3), 1)
    np.testing.assert_allclose(smoothed(np.array([1.0, 5.0]), 1), [1, 5])
    assert np.isnan(smoothed(np.array([np.nan, 1.0]), 2)[0])


NAMES = [r"$\frac{$", "a$b", "$x_$", "\x1b[31m\x07", "日本", "%s {0}", "_x", ""]
MANY = len(NAMES)
NAMED = {
    "confusion_matrix": lambda a: {"matrix": np.eye(MANY), "classes": a},
    "compared_curves": lambda a: {
        "x": [STEP] * MANY, "y": [STEP] * MANY, "label": a, "x_name": a[0], "name": a[0],
    },
    "predicted_against_true": lambda a: {
        "predicted": np.ones((3, MANY)), "true": np.ones((3, MANY)), "names": a, "text": a[0],
    },
    "column_histograms": lambda a: {
        "values": np.eye(MANY), "name": a, "label": np.arange(MANY), "class_name": a,
    },
    "image_grid": lambda a: {
        "image": np.zeros((1, MANY, 2, 2, 1)), "title": a, "row": a[:1], "text": [a],
    },
    "axis_curve": lambda a: {
        "x": [1.0] * MANY, "score": STEP[:MANY], "line": a, "line_name": a[0], "x_name": a[0],
        "score_name": a[0],
    },
    "axes_heat_map": lambda a: {
        "x": a, "y": a, "score": STEP[:MANY], "x_name": a[0], "y_name": a[0], "score_name": a[0],
    },
    "parallel_coordinates": lambda a: {"columns": {a[0]: np.array(a)}, "score": STEP[:MANY]},
    "loss_surface": lambda a: {
        "x": STEP, "values": dict.fromkeys(a, STEP), "title": a[0], "xlabel": a[0], "ylabel": a[0],
    },
    "layer_norms": lambda a: {**flow(MANY), "layers": a, "title": a[0]},
    "activation_fractions": lambda a: {
        "layers": a, "names": a, "dead": np.zeros(MANY), "title": a[0],
    },
    "corruption_table": lambda a: {
        "scores": {key: [0.5] for key in a}, "clean": 0.5, "name": a[0],
    },
    "spectral_density": lambda a: {"title": a[0]},
    "update_ratio_curve": lambda a: {
        "step": STEP, **{f"update_ratio/{name}": np.ones(len(STEP)) for name in a},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_names_are_drawn_as_they_are_written(name):
    figure = PLOTS[name](NAMED[name](NAMES))
    assert figure_png(figure).startswith(b"\x89PNG")
    texts = [text for text in figure.findobj(Text) if NAMES[0][1:5] in text.get_text()]
    assert texts, "the name is nowhere"
    assert all(text.get_text().count("$") == text.get_text().count(r"\$") for text in texts)
