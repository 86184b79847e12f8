"""Curves of one run over its steps."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jaxopt_lab.plots.panels import Figure, panel

History = Mapping[str, np.ndarray]

TRAIN, VALIDATION = "#4C78A8", "#E45756"


def loss_curve(history: History) -> Figure:
    """Training loss, each batch and smoothed, and those of evaluations, on a log scale.

    Args:
      history: columns `step`, `loss` and, where there were evaluations, `eval_step`, `val_loss` and
        `train_loss`, of the same weights on training samples.

    Returns:
      A figure; it holds an empty axis where no column is there.
    """
    figure, axes = _figure("loss")
    names = ("loss", "val_loss", "train_loss")
    values = np.concatenate([history.get(name, np.zeros(0)) for name in names])
    log = bool(np.any(values > 0) and not np.any(values <= 0))
    _training(axes, history, "loss", log=log)
    _evaluations(axes, history, "loss")
    if log:
        axes.set_yscale("log")
    return _finished(figure, axes)


def accuracy_curve(history: History) -> Figure:
    """Training accuracy, each batch and smoothed, and those of evaluations.

    Args:
      history: columns `step`, `accuracy` and, where there were evaluations, `eval_step`,
        `val_accuracy` and `train_accuracy`, in [0, 1].

    Returns:
      A figure.
    """
    figure = metric_curve(history, "accuracy")
    figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def metric_curve(history: History, name: str = "") -> Figure:
    """A metric of evaluations, and of each batch of training where these have it.

    Args:
      history: columns `step`, `eval_step`, and of the metric by its name, with `val_` and `train_`.
      name: of the metric; "" for an empty figure.

    Returns:
      A figure.
    """
    figure, axes = _figure(name)
    _training(axes, history, name)
    _evaluations(axes, history, name)
    look_past_the_beginning(axes)
    return _finished(figure, axes)


_BEGINNING = 0.1  # of the steps


def look_past_the_beginning(axes: Axes) -> None:
    """Give the axis to what comes after the first steps, in which a metric crosses most of it."""
    drawn = [np.asarray(line.get_xydata(), float) for line in axes.lines]
    points = np.concatenate([*drawn, np.zeros((0, 2))])
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        return
    later = points[points[:, 0] >= _BEGINNING * points[:, 0].max(), 1]
    low, high = float(later.min()), float(later.max())
    margin = 0.05 * (high - low)
    if margin > 0:
        axes.set_ylim(low - margin, high + margin)


def learning_rate_curve(history: History) -> Figure:
    """The learning rate that each step applied.

    Args:
      history: columns `step` and `learning_rate`.

    Returns:
      A figure.
    """
    figure, axes = _figure("learning rate")
    if "learning_rate" in history:
        axes.plot(history["step"], history["learning_rate"], color=TRAIN, linewidth=1.6)
        axes.set_ylim(bottom=0)
    return _finished(figure, axes, legend=False)


def smoothed(values: np.ndarray, span: int) -> np.ndarray:
    """A bias-corrected exponential moving average over about `span` values."""
    decay, average, weight = 1 - 1 / max(span, 1), 0.0, 0.0
    out = np.empty(len(values))
    for i, value in enumerate(values):
        if np.isfinite(value):
            average = decay * average + (1 - decay) * value
            weight = decay * weight + (1 - decay)
        out[i] = average / weight if weight else np.nan
    return out


def _figure(label: str) -> tuple[Figure, Axes]:
    figure, axes = panel("step", label, height=3.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return figure, axes


def _training(axes: Axes, history: History, name: str, *, log: bool = False) -> None:
    if name not in history:
        return
    step, values = history["step"], history[name]
    axes.plot(step, values, color=TRAIN, alpha=0.25, linewidth=0.8)
    # On a log scale the mean of the logarithms: one early value must not hide all that follow.
    span = len(values) // 50
    smooth = np.exp(smoothed(np.log(values), span)) if log else smoothed(values, span)
    axes.plot(step, smooth, color=TRAIN, linewidth=1.6, label="train")


def _evaluations(axes: Axes, history: History, name: str) -> None:
    for column, color, line, label in (
        (f"train_{name}", "0.25", "--", "train, evaluated"),
        (f"val_{name}", VALIDATION, "-", "validation"),
    ):
        if column in history:
            axes.plot(
                history["eval_step"],
                history[column],
                color=color,
                linestyle=line,
                linewidth=1.6,
                marker="o" if len(history["eval_step"]) <= 60 else None,
                markersize=3,
                label=label,
            )


def _finished(figure: Figure, axes: Axes, *, legend: bool = True) -> Figure:
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure
