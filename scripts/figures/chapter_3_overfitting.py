"""Chapter 3 of the course in pictures: under- and overfitting, and what helps."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false, reportAssignmentType=false, reportReturnType=false

import jax
import jax.numpy as jnp
import numpy as np
from chapter_2_linear import SCAN, sample, squared, wave
from descent import descend
from drawing import COLORS, FOLDER, line, panels
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

import jaxopt_lab
from jaxopt_lab import augment, data, diagnostics, linear, losses, nn

CONFIGS = FOLDER.parents[1] / "configs"


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


def verdicts() -> Figure:
    """Four runs on the digits, and what `fit_verdict` says of each."""
    runs = {
        "two hidden units": (1221, ["model.hidden=[2]"]),
        "60 training images": (60, ["data.train_size=60", "data.batch_size=30"]),
        "a rate of 5e-5": (1221, ["optimizer.learning_rate=5e-5", "schedule.name=constant"]),
        "as configured": (1221, []),
    }
    figure, (row,) = panels(4, width=2.9, sharey=True)
    for axes, (name, (count, changes)) in zip(row, runs.items(), strict=True):
        config = jaxopt_lab.load_config(CONFIGS / "digits_mlp.toml", ["train.epochs=30", *changes])
        history = jaxopt_lab.train(config, progress=False).history
        verdict = diagnostics.fit_verdict(history, (count, 216), classes=10)
        epochs = np.arange(1, len(history["eval_step"]) + 1)
        line(axes, 0, epochs, 100 * (1 - history["train_accuracy"]), "training")
        line(axes, 2, epochs, 100 * (1 - history["val_accuracy"]), "validation")
        axes.set(xlabel="epoch", title=f"{name}:\n“{verdict.kind}”", ylim=(-2, 100))
    row[0].set_ylabel("error (%)")
    row[0].legend(frameon=False)
    return figure


def early_stopping() -> Figure:
    """A run that lowers its rate where validation does not improve, and stops by itself."""
    config = jaxopt_lab.load_config(CONFIGS / "digits_plateau_early_stopping.toml")
    history = jaxopt_lab.train(config, progress=False).history
    step = history["eval_step"]
    best = step[history["val_loss"].argmin()]
    figure, (row,) = panels(3)
    line(row[0], 0, step, history["train_loss"], "training")
    line(row[0], 2, step, history["val_loss"], "validation")
    row[0].set(ylabel="loss", yscale="log", title=f"Stops at {step[-1]}, keeps {best}")
    row[0].legend(frameon=False)
    line(row[1], 2, step, 100 * history["val_accuracy"], "")
    row[1].set(ylabel="validation accuracy (%)", title="What the plateau watches")
    line(row[2], 1, history["step"], history["learning_rate"], "", linestyle="-")
    row[2].set(ylabel="learning rate", yscale="log", title="The rate, divided by 5")
    for axes in row:
        axes.axvline(best, color="0.5", linewidth=1)
        axes.set_xlabel("step")
    return figure


def vicinal_risk() -> Figure:
    """A network on 30 points: as they are, in two vicinities, and mixed."""
    sets = [moons(30, seed, noise=0.25) for seed in range(2, 18)]
    x_test, y_test = moons(1000, 1, noise=0.25)
    model, mix = nn.mlp(2, hidden=(64, 64)), augment.mixup(1.0, per_sample=True)

    def noisy(sigma):
        return lambda key, x, y: (x + sigma * jax.random.normal(key, x.shape), y)

    def mixed(key, x, y):
        batch = mix(key, {"x": x, "y": y})
        return batch["x"], batch["y"]

    vicinities = {
        "The points": noisy(0.0),
        "Noise, σ = 0.3": noisy(0.3),
        "Noise, σ = 1": noisy(1.0),
        "Mixup": mixed,
    }
    figure, (row,) = panels(4, width=2.6)
    for axes, (name, draw) in zip(row, vicinities.items(), strict=True):

        def run(x, y, draw=draw):
            def loss(params, key):
                moved, labels = draw(key, x, jax.nn.one_hot(y, 2))
                return losses.softmax_cross_entropy(model.apply(params, moved), labels).mean()

            key = jax.random.key(0)
            return descend(loss, model.init(key, x), key, steps=600)

        many = jax.jit(jax.vmap(run))(*map(jnp.stack, zip(*sets, strict=True)))
        outputs = jax.vmap(model.apply, (0, None))(many, x_test)
        right = jax.vmap(losses.accuracy, (0, None))(outputs, y_test)
        first = jax.tree.map(lambda p: p[0], many)
        decided(axes, jnp.diff(model.apply(first, PLANE)), *sets[0], name)
        axes.set_xlabel(f"testing error {1 - right.mean():.1%}\n(mean of 16 sets)")
    return figure


def few_digits() -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """100 training images of digits in [0, 1], and all for testing."""
    train, test, _ = data.digits()
    return (
        {"x": jnp.asarray(train["x"][:100]) / 255, "y": train["y"][:100]},
        {"x": jnp.asarray(test["x"]) / 255, "y": test["y"]},
    )


def weight_decay() -> Figure:
    """A network on 100 digits for 13 strengths of an L2 penalty, vmapped."""
    train, test = few_digits()
    model, lams = nn.mlp(10, hidden=(128,)), jnp.logspace(-5, 0, 13)

    def run(lam, key):
        def loss(params, key):
            del key
            logits = model.apply(params, train["x"])
            fit = losses.softmax_cross_entropy(logits, train["y"]).mean()
            return fit + losses.l2(params, weight=lam)

        params = descend(loss, model.init(key, train["x"]), key, steps=400)
        accuracy = [
            losses.accuracy(model.apply(params, s["x"]), s["y"]).mean() for s in (train, test)
        ]
        return 100 * (1 - jnp.stack(accuracy)), jnp.sqrt(2 * losses.l2(params, weight=1.0))

    every = jax.vmap(jax.vmap(run, (0, None)), (None, 0))
    wrong, norm = jax.jit(every)(lams, jax.random.split(jax.random.key(0), 4))
    figure, ((left, right),) = panels(2, width=3.4)
    line(left, 0, lams, wrong[..., 0].mean(0), "training, 100 images")
    line(left, 2, lams, wrong[..., 1].mean(0), "testing, 360 images")
    left.set(xscale="log", xlabel="λ", ylabel="error (%)", ylim=(-1, 30), title="Mean of 4 runs")
    left.legend(frameon=False)
    line(right, 1, lams, norm.mean(0), "", linestyle="-")
    right.set(xscale="log", xlabel="λ", ylabel="‖θ‖", title="The parameters shrink")
    return figure


def dropout() -> Figure:
    """The mean over masks: of a layer, in both conventions, and of a whole network."""
    figure, ((left, right),) = panels(2, width=3.4)
    x, keep = jnp.ones((1, 1)), 0.5
    for i, classic in enumerate((False, True)):
        layer = nn.Dropout(1 - keep, classic=classic)

        def outputs(key, layer=layer):
            return layer.apply({}, x, train=True, rngs={"dropout": key})[0, 0]

        drawn = jax.vmap(outputs)(jax.random.split(jax.random.key(0), 2000))
        count = jnp.arange(1, len(drawn) + 1)
        name = "classic" if classic else "inverted"
        line(left, 1 + i, count, jnp.cumsum(drawn) / count, f"{name}: mean in training")
        left.axhline(layer.apply({}, x)[0, 0], color=COLORS[0], linewidth=0.8)
        left.annotate(f"{name}: evaluation", (70, layer.apply({}, x)[0, 0] + 0.05), fontsize=8)
    left.set(xscale="log", xlabel="masks", ylabel="output of a unit of 1", ylim=(-0.1, 2.0))
    left.set_title("Equal in expectation")
    left.legend(frameon=False)

    train, test = few_digits()
    model = nn.mlp(10, hidden=(128, 128), dropout=0.5)

    @jax.jit
    def run(key):
        def loss(params, key):
            logits = model.apply(params, train["x"], train=True, rngs={"dropout": key})
            return losses.softmax_cross_entropy(logits, train["y"]).mean()

        params = descend(loss, model.init(key, train["x"]), key, steps=400)

        def masked(key):
            return model.apply(params, test["x"], train=True, rngs={"dropout": key})

        masks = jax.random.split(key, 200)
        return model.apply(params, test["x"]), jax.lax.map(masked, masks).mean(0)

    evaluated, mean = run(jax.random.key(0))
    right.plot(evaluated[:60].ravel(), mean[:60].ravel(), "o", color=COLORS[1], markersize=2)
    right.axline((0, 0), slope=1, color=COLORS[0], linewidth=1)
    right.set(xlabel="logit in evaluation", ylabel="mean logit of 200 masks")
    right.set_title("Through two layers: nearly")
    return figure


FIGURES = {
    "universal_approximation": universal_approximation,
    "polynomials": polynomials,
    "classification": classification,
    "verdicts": verdicts,
    "early_stopping": early_stopping,
    "more_data": more_data,
    "vicinal_risk": vicinal_risk,
    "weight_decay": weight_decay,
    "dropout": dropout,
}
