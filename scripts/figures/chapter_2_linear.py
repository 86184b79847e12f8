"""Chapter 2 of the course in pictures: regularization for linear models."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportReturnType=false, reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
from drawing import COLORS, line, panels
from matplotlib.figure import Figure

from jaxopt_lab import data, diagnostics, linear, losses

BLOOD = ("age", "sex", "bmi", "pressure", "tc", "ldl", "hdl", "tch", "ltg", "glucose")
SCAN = jnp.linspace(-1, 1, 300)[:, None]


def wave(x: jax.Array) -> jax.Array:
    """The truth behind the curves of this chapter and the next, (N, 1) -> (N,)."""
    return jnp.sin(3.0 * x[:, 0])


def sample(key: jax.Array, n: int, noise: float = 0.3) -> tuple[jax.Array, jax.Array]:
    """`n` places in [-1, 1] and the truth there with Gaussian noise: (n, 1), (n,)."""
    place, error = jax.random.split(key)
    x = jax.random.uniform(place, (n, 1), minval=-1, maxval=1)
    return x, wave(x) + noise * jax.random.normal(error, (n,))


def squared(model: linear.LinearModel, X: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared error of a model."""
    return losses.squared_error(linear.predict(model, X), y).mean()


def patients(n: int) -> tuple[jax.Array, ...]:
    """Standardized diabetes, the first n of the training split: X, y, and X, y of the test."""
    train, test, _ = data.diabetes()
    mean, std = train["x"].mean(0), train["x"].std(0)
    X, X_test = ((split["x"] - mean) / std for split in (train, test))
    return X[:n], train["y"][:n], X_test, test["y"]


def ridge_path() -> Figure:
    """Ten coefficients, and the loss on both sets, against the strength of the penalty."""
    X, y, X_test, y_test = patients(40)
    lams = jnp.logspace(-1, 4, 80)
    models = linear.ridge_path(X, y, lams)
    loss = jax.vmap(squared, (0, None, None))
    train, test = loss(models, X, y), loss(models, X_test, y_test)
    best = lams[test.argmin()]
    figure, ((left, right),) = panels(2, width=3.6)
    for i, (name, coef) in enumerate(zip(BLOOD, models.coef.T, strict=True)):
        line(left, i, lams, coef, name, linewidth=1.8 if i < 6 else 0.9)
    left.legend(frameon=False, fontsize=7, ncols=4, loc="upper center")
    line(right, 0, lams, train, "training, 40 patients")
    line(right, 2, lams, test, "testing, 88 patients")
    for axes in (left, right):
        axes.axvline(best, color="0.5", linewidth=1)
        axes.set(xscale="log", xlabel="λ")
    left.axhline(0, color="0.5", linewidth=0.8)
    left.set(ylabel="coefficient (a standard deviation)", ylim=(-27, 62))
    left.set_title("Ridge shrinks every coefficient")
    right.set(ylabel="mean squared error", title=f"Testing is best at λ = {best:.0f}")
    right.legend(frameon=False)
    return figure


def shrinkage() -> Figure:
    """Where ridge and lasso go from least squares, and by how much each direction shrinks."""
    X, y, _, _ = patients(354)
    figure, ((left, right),) = panels(2, width=3.6, height=3.1)

    # Two measurements of blood serum that nearly repeat each other, so that the bowl is narrow.
    pair, target = X[:, 4:6], (y - y.mean()) / y.std()
    lams = jnp.logspace(-1, 5, 200)
    ridge = linear.ridge_path(pair, target, lams).coef
    lasso = jax.vmap(
        lambda lam: linear.fit(pair, target, loss="squared", penalty="l1", lam=lam).model.coef
    )(jnp.logspace(-4, 0, 120))
    a, b = jnp.meshgrid(jnp.linspace(-0.12, 0.48, 90), jnp.linspace(-0.3, 0.3, 90))
    grid = jnp.stack([a, b], -1)
    bowl = jnp.square(target - grid @ pair.T).mean(-1)
    left.contour(a, b, bowl, levels=bowl.min() + 0.0015 * 2.0 ** np.arange(7), colors="0.75")
    line(left, 1, *ridge.T, "ridge", linewidth=2.2)
    line(left, 2, *lasso.T, "lasso", linewidth=2.2)
    left.plot(*linear.ols(pair, target).coef, "ko", markersize=5)
    left.annotate(
        "least squares", linear.ols(pair, target).coef, (-24, -17), textcoords="offset points"
    )
    left.plot(0, 0, "kx")
    left.annotate("λ = ∞", (0, 0), (-14, -16), textcoords="offset points")
    left.set(xlabel="coefficient of cholesterol", ylabel="coefficient of LDL", aspect="equal")
    left.set_title("Two coefficients as λ grows")
    left.legend(frameon=False)

    # The coefficients in the axes of the features' covariance, over those of least squares.
    lams = jnp.logspace(-1, 5, 25)
    _, s, axes = jnp.linalg.svd(X - X.mean(0), full_matrices=False)
    ratio = linear.ridge_path(X, y, lams).coef @ axes.T / (linear.ols(X, y).coef @ axes.T)
    for i, k in enumerate((0, 4, 7, 9)):
        line(right, i, lams, s[k] ** 2 / (s[k] ** 2 + lams), f"σ² = {s[k] ** 2:.0f}")
        right.plot(lams, ratio[:, k], "o", color=COLORS[i], markersize=3)
    right.set(xscale="log", xlabel="λ", ylabel="ridge / least squares")
    right.set_title("Lines: σ² / (σ² + λ).  Dots: ridge")
    right.legend(frameon=False)
    return figure


def linear_map() -> Figure:
    """Features of a number, and how much each label weighs in one prediction."""
    x = jnp.sort(sample(jax.random.key(0), 40)[0], axis=0)
    X, at = linear.polynomial(x, degree=9), linear.polynomial(jnp.array([[0.3]]), degree=9)
    figure, ((left, right),) = panels(2, width=3.6)
    for i, feature in enumerate(linear.polynomial(SCAN, degree=5).T):
        line(left, i, SCAN[:, 0], feature, f"$x^{i + 1}$" if i else "$x$")
    left.set(xlabel="x", ylabel="feature φ(x)", title="One number, five features")
    left.legend(frameon=False, ncols=2)
    for i, lam in enumerate((1e-4, 1e-1, 10.0)):
        weight = linear.predict(linear.ridge(X, jnp.eye(len(x)), lam), at)[0]
        line(right, i, x[:, 0], weight, f"λ = {lam:g}", marker=".")
    right.axvline(0.3, color="0.5", linewidth=1)
    right.set(xlabel="x of the label", ylabel="weight of the label")
    right.set_title("The prediction at 0.3 is linear in y")
    right.legend(frameon=False)
    return figure


def minimizers() -> Figure:
    """Curves that all pass through every training point, and what they cost elsewhere."""
    x = jnp.linspace(-0.9, 0.9, 8)[:, None]
    y = wave(x) + 0.1 * jax.random.normal(jax.random.key(4), (8,))
    x_test, y_test = sample(jax.random.key(5), 400, noise=0.1)

    def features(x):
        return linear.fourier(jax.random.key(1), x, features=60, length_scale=0.17)

    X, least = features(x), linear.ols(features(x), y, intercept=False)
    null = jnp.linalg.svd(X)[2][len(x) :]  # (52, 60): X null.T = 0
    size = jnp.linspace(0, 20, 61)
    turns = jax.random.normal(jax.random.key(2), (len(size), len(null)))
    turns = turns / jnp.linalg.norm(turns, axis=1, keepdims=True)
    many = least._replace(
        coef=least.coef + size[:, None] * (turns @ null), intercept=jnp.zeros(len(size))
    )
    loss = jax.vmap(squared, (0, None, None))
    testing = loss(many, features(x_test), y_test)
    figure, ((left, right),) = panels(2, width=3.6)
    outputs = jax.vmap(linear.predict, (0, None))(many, features(SCAN))
    for i, k in enumerate((15, 30, int(testing.argmax())), start=1):
        line(left, i, SCAN[:, 0], outputs[k], f"another, {size[k]:.0f} away")
    line(left, 0, SCAN[:, 0], outputs[0], "least norm", linewidth=2.2)
    left.plot(x[:, 0], y, "ko", zorder=5)
    left.set(xlabel="x", ylabel="y", ylim=(-4, 5), title="8 points, 60 features")
    left.legend(frameon=False, ncols=2, fontsize=8)
    norm = jnp.linalg.norm(many.coef, axis=1)
    ridge = linear.ridge_path(X, y, jnp.logspace(-4, 1, 40), intercept=False)
    right.plot(
        norm,
        testing,
        "o",
        color=COLORS[2],
        markersize=3,
        label="minimizers, testing",
    )
    right.plot(
        norm, loss(many, X, y), "s", color=COLORS[0], markersize=3, label="minimizers, training"
    )
    line(
        right,
        1,
        jnp.linalg.norm(ridge.coef, axis=1),
        loss(ridge, features(x_test), y_test),
        "ridge, testing",
    )
    right.set(xlabel="norm of the coefficients ‖w‖", ylabel="mean squared error")
    right.set_title("The training loss does not choose")
    right.legend(frameon=False, fontsize=8)
    return figure


def bias_variance() -> Figure:
    """Fits of many training sets at three strengths, and the error in its parts at every one."""
    lams = jnp.logspace(-5, 2, 29)
    x_test = jnp.linspace(-0.95, 0.95, 100)[:, None]
    features = {"degree": 12}
    at = linear.polynomial(x_test, **features)

    def parts(lam):
        def train(key, drawn):
            del key
            x, y = drawn
            return linear.predict(linear.ridge(linear.polynomial(x, **features), y, lam), at)

        return diagnostics.bias_variance(
            train, lambda key: sample(key, 25), wave(x_test), jax.random.key(0), repeats=200
        )

    found = jax.jit(lambda: jax.lax.map(parts, lams))()
    error = found.bias + found.variance
    best = float(lams[error.argmin()])
    figure, (row,) = panels(4, width=2.9)
    for axes, lam, name in zip(
        row[:3], (1e-5, best, 30.0), ("weak", "best", "strong"), strict=True
    ):
        for key in jax.random.split(jax.random.key(1), 15):
            x, y = sample(key, 25)
            model = linear.ridge(linear.polynomial(x, **features), y, lam)
            axes.plot(x_test[:, 0], linear.predict(model, at), color=COLORS[5], linewidth=0.8)
        line(axes, 0, x_test[:, 0], wave(x_test), "truth", linewidth=2)
        axes.set(xlabel="x", ylim=(-2.2, 2.2), title=f"{name}: λ = {lam:.2g}")
    row[0].set_ylabel("15 fits of 25 points each")
    row[0].legend(frameon=False, loc="upper left")
    line(row[3], 1, lams, found.bias, "bias²")
    line(row[3], 2, lams, found.variance, "variance")
    line(row[3], 0, lams, error, "their sum")
    row[3].axvline(best, color="0.5", linewidth=1)
    row[3].set(xscale="log", yscale="log", xlabel="λ", ylabel="error against the truth")
    row[3].set(title="Bias and variance", ylim=(1e-3, 20))
    row[3].legend(frameon=False, loc="upper right")
    return figure


def empirical_risk() -> Figure:
    """Losses of a margin, and what three penalties leave of 30 coefficients."""
    train, test, _ = data.breast_cancer()
    mean, std = train["x"].mean(0), train["x"].std(0)
    X, X_test = ((split["x"] - mean) / std for split in (train, test))
    lams = jnp.logspace(-4, 0, 17)
    figure, ((left, middle, right),) = panels(3)

    margin = jnp.linspace(-2, 3, 200)
    ones = jnp.ones(len(margin), jnp.int32)
    left.plot(margin, margin < 0, color="0.6", linewidth=1, label="0-1")
    line(left, 0, margin, losses.logistic(margin, ones) / jnp.log(2.0), "logistic / log 2")
    line(left, 1, margin, losses.hinge(margin, ones), "hinge")
    line(left, 2, margin, (1 - margin) ** 2, "squared")
    left.set(xlabel="margin (score times ±1)", ylabel="loss", ylim=(-0.1, 5.5))
    left.set_title("Losses of a classifier")
    left.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")

    for i, penalty in enumerate(("l1", "elastic_net", "l2")):
        models = jax.vmap(
            lambda lam, penalty=penalty: (
                linear.fit(
                    X, train["y"], loss="logistic", penalty=penalty, lam=lam, tolerance=1e-5
                ).model
            )
        )(lams)
        accuracy = jax.vmap(linear.score, (0, None, None))(models, X_test, test["y"])
        name = penalty.replace("_", " ")
        line(middle, i, lams, (models.coef != 0).sum(1), name, marker="osD"[i], markersize=3)
        line(right, i, lams, 100 * (1 - accuracy), name, marker="osD"[i], markersize=3)
    for axes in (middle, right):
        axes.set(xscale="log", xlabel="λ")
    middle.set(ylabel="coefficients that are not 0", title="L1 selects features")
    right.set(ylabel="testing error (%)", title="Breast cancer, 114 patients", ylim=(0, 20))
    middle.legend(frameon=False)
    return figure


FIGURES = {
    "ridge_path": ridge_path,
    "shrinkage": shrinkage,
    "linear_map": linear_map,
    "minimizers": minimizers,
    "bias_variance": bias_variance,
    "empirical_risk": empirical_risk,
}
