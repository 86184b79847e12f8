"""The figures of chapter 4, stochastic gradient descent."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false

import jax
import numpy as np
from drawing import COLORS, line, panels
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure
from paths import valley, walk
from training import digits, train

from jaxopt_lab import linalg, losses, nn, optimizers, problems

# The largest eigenvalue of this quadratic is 1, so that it diverges from 2 on.
VALLEY = problems.quadratic(2, condition=15.0, angle=25.0)
STEPS = 20


def step_size() -> Figure:
    """Too low, good, too high, and the loss of the three."""
    figure, axes = panels(2, 2, width=4.2, height=2.9)
    *maps, losses_ = axes.flat
    rates = {"too low": 0.1, "good": 1.6, "too high": 2.08}
    for i, (axes, (name, rate)) in enumerate(zip(maps, rates.items(), strict=True)):
        points, values = walk(optimizers.sgd(rate), VALLEY, STEPS)
        valley(axes, VALLEY, (-1.5, 3.5, -0.5, 2.5))
        line(axes, i, *points.T, name, linestyle="-", marker="o", markersize=3, linewidth=1)
        axes.set_title(f"{name}, $\\eta$ = {rate:g}")
        line(losses_, i, np.arange(STEPS + 1), values, f"{name}, {rate:g}")
    losses_.set(yscale="log", ylim=(3e-5, 1e4), xlabel="step", ylabel="loss", title="loss")
    losses_.legend(frameon=False, loc="upper left")
    return figure


def batch_size() -> Figure:
    """The variance of a gradient falls as 1 / B; what that does to the loss of a run."""
    figure, ((left, middle, right),) = panels(3, width=3.6, height=3)
    sizes = (1, 4, 16, 64, 256)
    rows = _gradients()
    left.loglog(sizes, [_variance(rows, b) for b in sizes], "o", color=COLORS[0], label="measured")
    left.loglog(
        sizes, rows.var(0).sum() / np.array(sizes), "--", color=COLORS[2], label="$\\sigma^2$ / B"
    )
    left.set(xlabel="batch size B", ylabel="variance of the gradient", title="noise")
    left.legend(frameon=False)
    plain = ("optimizer.name=sgd", "optimizer.learning_rate=0.05", "schedule.name=constant")
    for i, size in enumerate((4, 32, 256)):
        run = train("digits_mlp", *plain, f"data.batch_size={size}", "train.epochs=10").history
        shown = run["step"] <= 45
        line(middle, i, run["step"][shown], run["loss"][shown], f"B = {size}")
        epoch = 10 * run["eval_step"] / run["eval_step"][-1]
        line(right, i, epoch, run["val_loss"], f"B = {size}", marker="o", markersize=3)
    middle.set(xlabel="step", ylabel="loss of the batch", title="by step")
    right.set(xlabel="epoch", ylabel="validation loss", title="by epoch", yscale="log")
    right.legend(frameon=False)
    return figure


def _gradients() -> np.ndarray:
    """The gradient of each of 1,000 samples, (1000, P), of a small network at its start."""
    batch, model = digits(1000), nn.mlp(10, hidden=(32,))

    def loss(params, batch):
        return losses.softmax_cross_entropy(model.apply(params, batch["x"]), batch["y"])

    params = model.init(jax.random.key(0), batch["x"][:1])
    grads = linalg.per_example_grads(loss, params, batch)
    return np.asarray(jax.vmap(lambda g: ravel_pytree(g)[0])(grads))


def _variance(rows: np.ndarray, size: int) -> float:
    """Mean squared distance of the gradient of a batch to that of all, over 200 batches."""
    picks = np.random.default_rng(size).integers(len(rows), size=(200, size))
    means = np.stack([rows[pick].mean(0) for pick in picks])
    return np.square(means - rows.mean(0)).sum(1).mean()


def edge_of_stability() -> Figure:
    """Full-batch gradient descent: the largest eigenvalue rises to 2 / eta and stays about it."""
    figure, ((left, right),) = panels(2, width=4.2, height=3)
    for i, rate in enumerate((0.1, 0.2)):
        run = train(
            "digits_mlp", "data.batch_size=full", "loss.name=squared_error", "optimizer.name=sgd",
            f"optimizer.learning_rate={rate}", "schedule.name=constant", "model.hidden=[64, 64]",
            "model.activation=tanh", "model.init=gaussian", "train.epochs=1200",
            "train.evaluate_every=500", "log.curvature=20",
        ).history  # fmt: skip
        there = np.isfinite(run["top_eigenvalue"])
        label = f"$\\eta$ = {rate:g}"
        line(left, i, run["step"][there], run["top_eigenvalue"][there], label)
        left.axhline(2 / rate, color=COLORS[i], linewidth=0.8, alpha=0.7)
        left.text(1220, 2 / rate, f"2 / {rate:g}", va="bottom", fontsize=9)
        line(right, i, run["step"], run["loss"], label)
    left.set(
        xlabel="step", ylabel="largest eigenvalue of the Hessian", xlim=(0, 1420), ylim=(0, 28)
    )
    right.set(xlabel="step", ylabel="training loss", yscale="log")
    right.legend(frameon=False)
    return figure


FIGURES = {"step_size": step_size, "batch_size": batch_size, "edge_of_stability": edge_of_stability}
