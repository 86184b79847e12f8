"""Chapter 3 of the course in pictures: what fits too little, and what too much."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false, reportAssignmentType=false, reportReturnType=false

import jax
import jax.numpy as jnp
import numpy as np
from chapter_2_linear import SCAN, sample, squared, wave
from drawing import COLORS, line, panels
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from training import descend

from jaxopt_lab import linear, losses, nn


def universal_approximation() -> Figure:
    """Perceptrons, maxout and max-plus layers of growing width, on one curve."""
    x = SCAN[::5]
    truth = jnp.sin(5 * x[:, 0])
    # With a constant beside x, every unit starts with a bias of its own.
    inputs = jnp.concatenate([3 * x, jnp.full_like(x, 2.0)], axis=1)
    widths = (3, 12, 48)
    figure, (row,) = panels(4, width=2.9)
    for i, (unit, name) in enumerate(
        (("dense", "ReLU perceptron"), ("maxout", "maxout"), ("max_plus", "max-plus"))
    ):
        errors = []
        for k, width in enumerate(widths, start=1):
            model = nn.mlp(1, hidden=(width,), unit=unit)

            def run(key, model=model):
                def loss(params, key):
                    del key
                    return losses.squared_error(model.apply(params, inputs), truth).mean()

                params = descend(loss, model.init(key, inputs), key, steps=800, rate=0.02)
                return loss(params, key), model.apply(params, inputs)[:, 0]

            error, outputs = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 3))
            errors.append(error.min())
            line(row[i], k, x[:, 0], outputs[error.argmin()], f"width {width}")
        row[i].plot(x[:, 0], truth, color="0.6", linewidth=4, alpha=0.5, zorder=0)
        row[i].set(xlabel="x", title=name, ylim=(-1.3, 2.1))
        row[i].legend(frameon=False, fontsize=8, ncols=2, loc="upper center", handlelength=1.6)
        line(row[3], i, np.array(widths), np.array(errors), name, marker="osD"[i], markersize=4)
    row[0].set_ylabel("best of 3 runs (gray: truth)")
    row[3].set(xscale="log", yscale="log", xlabel="width", ylabel="mean squared error")
    row[3].set(title="Wider is closer", ylim=(1e-5, 0.3))
    row[3].set_xticks(widths, [str(width) for width in widths])
    row[3].minorticks_off()
    row[3].legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def polynomial(x: jax.Array, y: jax.Array, degree: int) -> linear.LinearModel:
    """Least squares without a penalty."""
    return linear.ols(linear.polynomial(x, degree=degree), y, method="svd")


@jax.jit
def errors(degree: int, n: int) -> jax.Array:
    """Medians over 100 training sets: the loss of training, and of testing.

    Features above the degree and samples beyond n are zero, which least squares of least norm does
    not see: one compilation serves all.
    """

    def features(x):
        powers = jnp.concatenate([jnp.ones_like(x), linear.polynomial(x, degree=12)], axis=1)
        return jnp.where(jnp.arange(13) <= degree, powers, 0.0)

    x_test, y_test = sample(jax.random.key(1), 500)

    def one(key):
        x, y = sample(key, 600)
        seen = jnp.arange(600) < n
        X, y = jnp.where(seen[:, None], features(x), 0.0), jnp.where(seen, y, 0.0)
        model = linear.ols(X, y, intercept=False, method="svd")
        return jnp.stack([squared(model, X, y) * 600 / n, squared(model, features(x_test), y_test)])

    return jnp.median(jax.vmap(one)(jax.random.split(jax.random.key(0), 100)), axis=0)


def fitted(axes: Axes, degree: int, n: int, title: str) -> None:
    """A panel: n points, the truth, and the polynomial of a degree."""
    x, y = sample(jax.random.key(3), n)
    curve = linear.predict(polynomial(x, y, degree), linear.polynomial(SCAN, degree=degree))
    axes.plot(x[:, 0], y, "o", color="0.55", markersize=4 if n < 100 else 2)
    line(axes, 0, SCAN[:, 0], wave(SCAN), "truth")
    line(axes, 2, SCAN[:, 0], curve, f"degree {degree}", linestyle="-", linewidth=2)
    axes.set(xlabel="x", ylim=(-2.4, 2.4), title=title)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def both_losses(axes: Axes, at: tuple[int, ...], found: list[jax.Array], xlabel: str) -> None:
    """A panel: the loss of training and of testing, and the variance of the noise."""
    training, testing = np.array(found).T
    line(axes, 0, np.array(at), training, "training", marker="o", markersize=3)
    line(axes, 2, np.array(at), testing, "testing", marker="s", markersize=3)
    axes.axhline(0.09, color="0.5", linewidth=1)
    axes.annotate("noise", (at[-1], 0.09), (-28, 3), textcoords="offset points", fontsize=8)
    axes.set(xlabel=xlabel, ylabel="mean squared error", yscale="log", ylim=(0.01, 10))
    axes.legend(frameon=False)


def polynomials() -> Figure:
    """A degree that is too low, one that is right, one that is too high, and the losses of all."""
    figure, (row,) = panels(4, width=2.9)
    for axes, degree, title in zip(
        row[:3], (1, 3, 12), ("Underfitting", "Right", "Overfitting"), strict=True
    ):
        fitted(axes, degree, 20, title)
    row[0].set_ylabel("y, 20 training points")
    degrees = tuple(range(1, 13))
    both_losses(row[3], degrees, [errors(degree, 20) for degree in degrees], "degree")
    row[3].set(title="Losses", xticks=(1, 3, 6, 9, 12))
    return figure


def more_data() -> Figure:
    """The degree that was too high, with more data."""
    figure, (row,) = panels(4, width=2.9)
    for axes, n in zip(row[:3], (20, 60, 600), strict=True):
        fitted(axes, 12, n, f"{n} points")
    row[0].set_ylabel("y")
    sizes = (20, 30, 40, 60, 100, 200, 350, 600)
    both_losses(row[3], sizes, [errors(12, n) for n in sizes], "training points")
    row[3].set(xscale="log", title="Losses")
    row[3].set_xticks((20, 60, 200, 600), ("20", "60", "200", "600"))
    row[3].minorticks_off()
    return figure


def moons(n: int, seed: int, noise: float) -> tuple[jax.Array, jax.Array]:
    """Two half circles that interlock: (n, 2), and classes (n,)."""
    x, y = make_moons(n, noise=noise, random_state=seed)
    return jnp.asarray(x, jnp.float32) - jnp.array([[0.5, 0.25]]), jnp.asarray(y, jnp.int32)


ACROSS, UP = jnp.meshgrid(jnp.linspace(-2.5, 2.5, 160), jnp.linspace(-1.7, 1.7, 160))
PLANE = jnp.stack([ACROSS.ravel(), UP.ravel()], -1)


def decided(axes: Axes, score: jax.Array, x: jax.Array, y: jax.Array, title: str) -> None:
    """A panel: the plane by the class that a score says, and the points."""
    score = np.asarray(score).reshape(ACROSS.shape)
    axes.contourf(ACROSS, UP, score, levels=[-np.inf, 0, np.inf], colors=["#D6E6F2", "#FBE3D6"])
    axes.contour(ACROSS, UP, score, levels=[0], colors="k", linewidths=1)
    for k, marker, color in ((0, "o", COLORS[1]), (1, "^", COLORS[2])):
        axes.plot(*x[y == k].T, marker, color=color, markersize=4)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[], title=title, xlim=(-2.5, 2.5), ylim=(-1.7, 1.7))


def classification() -> Figure:
    """Logistic regression on polynomials of two numbers: too few, enough, too many."""
    x, y = moons(40, 4, noise=0.3)
    x_test, y_test = moons(1000, 1, noise=0.3)
    figure, (row,) = panels(3, width=3.1)
    for axes, degree, name in zip(
        row, (1, 3, 10), ("Underfitting", "Right", "Overfitting"), strict=True
    ):
        features, testing, plane = (linear.polynomial(x, degree=degree) for x in (x, x_test, PLANE))
        scale = features.std(0)
        features, testing, plane = features / scale, testing / scale, plane / scale
        model = linear.fit(features, y, loss="logistic", lam=1e-5, max_iterations=10_000).model
        wrong = [1 - linear.score(model, *s) for s in ((features, y), (testing, y_test))]
        decided(axes, linear.predict(model, plane), x, y, f"{name}: degree {degree}")
        axes.set_xlabel(f"error: training {wrong[0]:.0%}, testing {wrong[1]:.0%}")
    return figure


FIGURES = {
    "universal_approximation": universal_approximation,
    "polynomials": polynomials,
    "classification": classification,
    "more_data": more_data,
}
