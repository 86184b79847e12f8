"""What the figures of the course share: how they look, and how one is made and written."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false, reportReturnType=false

import io
import pathlib
import sys
import time
from collections.abc import Callable, Mapping

import jax
import matplotlib
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import jaxopt_lab
from jaxopt_lab import data, losses, problems, second_order

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "figures"

# Told apart in gray too, with LINES; Okabe and Ito's, in an order of falling darkness.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))

Figures = Mapping[str, Callable[[], Figure]]


def panels(columns: int, rows: int = 1, *, width: float = 3.2, height: float = 2.7, **how) -> tuple:
    """A figure and its axes, (rows, columns), each without the upper and the right spine."""
    size = (width * columns, height * rows)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **how)
    for one in axes.flat:
        bare(one)
    return figure, axes


def bare(axes: Axes) -> None:
    """A light grid and two spines."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def line(axes: Axes, i: int, x: np.ndarray, y: np.ndarray, label: str, **how) -> None:
    """Curve i of a panel, in a color and a dash of its own."""
    style = {"color": COLORS[i % len(COLORS)], "linestyle": LINES[i % len(LINES)], "linewidth": 1.6}
    axes.plot(x, y, label=label, **(style | how))


def path(tx, outputs: Callable, target: jax.Array, start, steps: int) -> tuple:
    """The parameters, stacked (steps + 1, ...), and the squared error of `outputs` at each."""

    def step(carry, key):
        params, state = carry
        curvature = second_order.Curvature(
            params, outputs, losses.squared_error, {"y": target}, key
        )
        value, grads = curvature.value(), curvature.gradient()
        updates, state = tx.update(grads, state, params, curvature=curvature)
        return (optax.apply_updates(params, updates), state), (params, value)

    keys = jax.random.split(jax.random.key(0), steps + 1)
    points, values = jax.jit(lambda c: jax.lax.scan(step, c, keys)[1])((start, tx.init(start)))
    return jax.tree.map(np.asarray, points), np.asarray(values)


def descend(tx, problem: problems.Problem, steps: int, start=None) -> tuple:
    """Points (steps + 1, 2) of an optimizer on a problem, and its objective at each."""
    start = problem.start if start is None else jax.numpy.asarray(start, float)
    target = jax.numpy.zeros((1, len(problem.residuals(start))))
    return path(tx, lambda x, _: problem.residuals(x)[None], target, start, steps)


def valley(axes: Axes, problem: problems.Problem, window: tuple, levels=12) -> None:
    """The contours of a problem of two variables in gray, and a star at its minimum.

    Args:
      axes: to draw on.
      problem: what has contours.
      window: (x0, x1, y0, y1).
      levels: how many contours, each at the same factor from the next.
    """
    x, y = np.linspace(*window[:2], 121), np.linspace(*window[2:], 121)
    grid = np.stack(np.meshgrid(x, y), -1)
    z = np.asarray(jax.vmap(jax.vmap(problem.loss))(grid))
    axes.contour(
        x, y, z, np.geomspace(z.max() / 3000, z.max(), levels), colors="0.75", linewidths=0.8
    )
    axes.plot(*problem.minimizer, "*", color="black", markersize=10, zorder=5)
    axes.set(xlim=window[:2], ylim=window[2:], xlabel="x", ylabel="y")
    axes.grid(visible=False)


def train(config: str, *changes: str) -> jaxopt_lab.Result:
    """Train `configs/<config>.toml` with `changes`, such as "train.epochs=5"."""
    loaded = jaxopt_lab.load_config(ROOT / "configs" / f"{config}.toml", changes)
    return jaxopt_lab.train(loaded, progress=False)


def digits(count: int | None = None) -> dict[str, np.ndarray]:
    """Training images of digits, scaled to [0, 1], and their labels; the first `count` or all."""
    train = data.digits().train
    return {"x": np.float32(train["x"][:count]) / 255, "y": train["y"][:count]}


def write(figures: Figures, names: list[str] | None = None) -> None:
    """Make the figures that are named, or all, and say what each took.

    Args:
      figures: `{name: function that makes it}`.
      names: which of them; none for all.
    """
    matplotlib.use("Agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    if unknown := sorted(set(names or ()) - set(figures)):
        sys.exit(f"no figure {', '.join(unknown)}: there are {', '.join(figures)}")
    for name in names or figures:
        began = time.perf_counter()
        drawn = io.BytesIO()
        figures[name]().savefig(drawn)
        # 256 colors are enough for lines, in less than half of the bytes.
        Image.open(drawn).convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
        print(f"{name}.png  {time.perf_counter() - began:.1f} s", flush=True)
