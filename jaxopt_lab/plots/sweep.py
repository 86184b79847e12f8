"""Runs of a sweep against their hyperparameters, and beside each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from jaxopt_lab.plots.curves import TRAIN, VALIDATION
from jaxopt_lab.plots.panels import Figure, panel, plain

# From good to bad; readable in print and for the color-blind.
COLORS = "viridis_r"
MOST_LINES = 8  # of a curve a value: beyond, the colors tell nothing


def axis_curve(sweep: Mapping[str, object]) -> Figure:
    """The metric against one axis: the mean over seeds, and a band from the worst to the best.

    Of settings that share a value of the axis the best is drawn: what else is swept is set as well
    as it can be there.

    Args:
      sweep: `x` (R,) and `score` (R,), one of each a run, NaN for a run that diverged; `x_name` and
        `score_name`; `line` (R,), words that part the runs into several lines; `line_name`;
        `setting` (R,), the same number for runs that differ in their seed alone; `higher`, whether
        a higher score is better.

    Returns:
      A figure; values of x that hold a diverged run are marked at the top.
    """
    figure, axes = panel(plain(sweep.get("x_name", "")), plain(sweep.get("score_name", "")))
    x, score = _column(sweep, "x"), _column(sweep, "score")
    if not len(x):
        return figure
    line = np.asarray(sweep.get("line", np.full(len(x), "")))
    names = list(dict.fromkeys(line.tolist()))
    values, setting = np.unique(x), np.asarray(sweep.get("setting", np.zeros(len(x))))
    sign = -1 if sweep.get("higher") else 1

    def best(chosen: np.ndarray) -> np.ndarray:
        """The finite scores of the seeds of the best setting of some runs."""
        groups = [score[chosen & (setting == s)] for s in np.unique(setting[chosen])]
        groups = [group[np.isfinite(group)] for group in groups]
        known = [group for group in groups if len(group)]
        return min(known, key=lambda group: sign * group.mean(), default=np.zeros(0))

    many = len(names) > MOST_LINES
    for k, name in enumerate(names):
        color = (
            colormaps["viridis"](k / (len(names) - 1))
            if many
            else (TRAIN if len(names) == 1 else f"C{k}")
        )
        finite = [best((x == v) & (line == name)) for v in values]
        there = [i for i, row in enumerate(finite) if len(row)]
        at = values[there]
        mean = [finite[i].mean() for i in there]
        axes.plot(at, mean, color=color, marker="o", markersize=4, linewidth=1.6, label=plain(name))
        if any(len(row) > 1 for row in finite):
            low = [finite[i].min() for i in there]
            high = [finite[i].max() for i in there]
            axes.fill_between(at, low, high, color=color, alpha=0.18, linewidth=0)
    lost = np.unique(x[~np.isfinite(score)])
    if len(lost):
        top = axes.get_xaxis_transform()
        label = f"diverged ({int((~np.isfinite(score)).sum())})"
        axes.plot(lost, np.full(len(lost), 0.97), "x", color=VALIDATION, transform=top, label=label)
    _scale(axes, values)
    _score_scale(axes, score)
    if len(names) > 1 or len(lost):
        title = plain(sweep.get("line_name", "")) if len(names) > 1 else None
        axes.legend(frameon=False, title=title, fontsize=8, title_fontsize=8)
    return figure


def axes_heat_map(sweep: Mapping[str, object]) -> Figure:
    """The metric over two axes, its mean over all else, the best cell framed.

    Args:
      sweep: `x`, `y` and `score`, (R,) each, x and y numbers or words; `x_name`, `y_name`,
        `score_name`; `higher`, whether a higher score is better.

    Returns:
      A figure; a cell without a finite score is left white and says "x".
    """
    figure = Figure(figsize=(6.4, 4.4), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(plain(sweep.get("x_name", "")))
    axes.set_ylabel(plain(sweep.get("y_name", "")))
    score = _column(sweep, "score")
    if not len(score) or "x" not in sweep or "y" not in sweep:
        return figure
    columns, x = np.unique(np.asarray(sweep["x"]), return_inverse=True)
    lines, y = np.unique(np.asarray(sweep["y"]), return_inverse=True)
    cells = np.full((len(lines), len(columns)), np.nan)
    for i in range(len(lines)):
        for j in range(len(columns)):
            here = score[(y == i) & (x == j)]
            if np.isfinite(here).any():
                cells[i, j] = here[np.isfinite(here)].mean()
    higher = bool(sweep.get("higher", False))
    image = axes.imshow(
        cells,
        origin="lower",
        aspect="auto",
        cmap="viridis" if higher else COLORS,
        norm="log" if _spread(cells) else "linear",
    )
    axes.set_xticks(range(len(columns)), [_number(v) for v in columns], rotation=45, ha="right")
    axes.set_yticks(range(len(lines)), [_number(v) for v in lines])
    few = cells.size <= 100
    for i, j in np.ndindex(*cells.shape):
        if not np.isfinite(cells[i, j]):
            axes.text(j, i, "x", ha="center", va="center", color="0.4")
        elif few:
            shade = image.cmap(image.norm(cells[i, j]))[:3]
            dark = np.dot(shade, (0.3, 0.59, 0.11)) < 0.5
            text = f"{cells[i, j]:.3g}"
            color = "white" if dark else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=color)
    if np.isfinite(cells).any():
        best = np.nanargmax(cells) if higher else np.nanargmin(cells)
        i, j = np.unravel_index(best, cells.shape)
        axes.add_patch(_frame(float(j), float(i)))
    figure.colorbar(image, label=plain(sweep.get("score_name", "")))
    return figure


def parallel_coordinates(sweep: Mapping[str, object]) -> Figure:
    """A line a run through its value on every axis, colored by the metric.

    Args:
      sweep: `columns` {name: (R,)}, numbers or words; `score` (R,); `score_name`; `higher`, whether
        a higher score is better.

    Returns:
      A figure; runs that diverged are dashed and gray.

    Reference: Inselberg, 1985, The plane with parallel coordinates.
    """
    figure = Figure(figsize=(6.4, 3.9), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.set_yticks([])
    columns = sweep.get("columns", {})
    score = _column(sweep, "score")
    if not isinstance(columns, Mapping) or not columns or not len(score):
        return figure
    name = str(sweep.get("score_name", "score"))
    all_columns = {**columns, name: np.where(np.isfinite(score), score, np.nan)}
    places = [_places(np.asarray(values)) for values in all_columns.values()]
    height = np.stack([p for p, _ in places], 1)
    shade = _shades(score, bool(sweep.get("higher", False)))
    for i in np.argsort(-shade):  # the best on top
        lost = not np.isfinite(score[i])
        line = ":" if lost else "-"
        color = _color(shade[i])
        axes.plot(range(height.shape[1]), height[i], line, color=color, linewidth=1.0, alpha=0.75)
    for k, (_, ticks) in enumerate(places):
        axes.axvline(k, color="0.3", linewidth=0.8)
        for at, text in ticks:
            axes.annotate(
                text,
                (k, at),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            )
    short = [plain(key.rsplit(".", 1)[-1]) for key in all_columns]
    axes.set_xticks(range(len(all_columns)), short)
    axes.tick_params(length=0)
    axes.set_xlim(-0.1, len(all_columns) - 0.6)
    return figure


def run_curves(sweep: Mapping[str, object]) -> Figure:
    """The metric of every run over its steps, colored by where it ended.

    Args:
      sweep: `step` and `value`, R arrays each; `score` (R,), `score_name`; `higher`.

    Returns:
      A figure; the best run is drawn thick.
    """
    figure, axes = panel("step", plain(sweep.get("score_name", "")))
    step, value = sweep.get("step", ()), sweep.get("value", ())
    score = _column(sweep, "score")
    if not len(score) or not isinstance(step, Sequence) or not isinstance(value, Sequence):
        return figure
    higher = bool(sweep.get("higher", False))
    shade = _shades(score, higher)
    order = np.argsort(-shade)
    for i in order:
        best = i == order[-1]
        axes.plot(
            step[i],
            value[i],
            color=VALIDATION if best else _color(shade[i]),
            linewidth=2.2 if best else 0.9,
            alpha=1 if best else 0.6,
            label="best run" if best else None,
        )
    _score_scale(axes, np.concatenate([np.asarray(v, float) for v in value]))
    axes.legend(frameon=False, fontsize=8)
    return figure


def _column(sweep: Mapping[str, object], name: str) -> np.ndarray:
    return np.asarray(sweep.get(name, np.zeros(0)), np.float64)


def _scale(axes: Axes, values: np.ndarray) -> None:
    """Logarithmic where the values span more than two decades."""
    if len(values) and values.min() > 0 and values.max() / values.min() > 100:
        axes.set_xscale("log")


def _score_scale(axes: Axes, score: np.ndarray) -> None:
    """Logarithmic where the scores do, and never so wide that one bad run hides all others."""
    finite = score[np.isfinite(score)]
    if _spread(finite):
        axes.set_yscale("log")
        low, high = finite.min(), finite.max()
        ceiling = np.median(finite) * 100
        if high > ceiling:
            axes.set_ylim(low / 1.5, ceiling)


def _spread(values: np.ndarray) -> bool:
    """Whether numbers are so far apart that their logarithms tell more."""
    finite = values[np.isfinite(values)]
    return bool(len(finite) and finite.min() > 0 and finite.max() / finite.min() > 20)


def _shades(score: np.ndarray, higher: bool) -> np.ndarray:
    """Each run's rank in [0, 1], 0 for the best; 2 for those without a score."""
    finite = np.isfinite(score)
    ranked = np.argsort(np.argsort(np.where(finite, -score if higher else score, np.inf)))
    return np.where(finite, ranked / max(1, finite.sum() - 1), 2.0)


def _color(shade: float):
    """Bright for the best, dark for the worst, gray for those without a score."""
    return "0.75" if shade > 1 else colormaps["viridis"](0.9 * (1 - shade))


def _places(values: np.ndarray) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights in [0, 1], and what to write where."""
    if values.dtype.kind not in "fiu":
        words, index = np.unique(values.astype(str), return_inverse=True)
        at = index / max(1, len(words) - 1)
        return at, [(k / max(1, len(words) - 1), plain(word)) for k, word in enumerate(words)]
    values = values.astype(float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.ones(len(values)), []
    low, high = finite.min(), finite.max()
    log = _spread(values)
    height = (np.log if log else np.asarray)(np.where(np.isfinite(values), values, high))
    bottom, top = height.min(), height.max()
    at = (height - bottom) / (top - bottom) if top > bottom else np.full(len(values), 0.5)
    at = np.where(np.isfinite(values), at, 1.0)
    middle = np.exp((bottom + top) / 2) if log else (low + high) / 2
    ticks = [(0.0, low), (0.5, middle), (1.0, high)] if high > low else [(0.5, low)]
    return at, [(height, f"{value:.3g}") for height, value in ticks]


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else plain(value)


def _frame(x: float, y: float) -> Rectangle:
    return Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=VALIDATION, linewidth=2)
