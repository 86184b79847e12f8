"""Chapter 3 of the course in pictures: how to judge a fit, and what helps against overfitting."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
from chapter_3_fits import PLANE, decided, moons
from drawing import COLORS, line, panels
from matplotlib.figure import Figure
from training import descend, digits, train

from jaxopt_lab import augment, diagnostics, losses, nn


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
        history = train("digits_mlp", "train.epochs=30", *changes).history
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
    history = train("digits_plateau_early_stopping").history
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


def weight_decay() -> Figure:
    """A network on 100 digits for 13 strengths of an L2 penalty, vmapped."""
    few, test = digits(100), digits(test=True)
    model, lams = nn.mlp(10, hidden=(128,)), jnp.logspace(-5, 0, 13)

    def run(lam, key):
        def loss(params, key):
            del key
            logits = model.apply(params, few["x"])
            fit = losses.softmax_cross_entropy(logits, few["y"]).mean()
            return fit + losses.l2(params, weight=lam)

        params = descend(loss, model.init(key, few["x"]), key, steps=400)
        accuracy = [
            losses.accuracy(model.apply(params, s["x"]), s["y"]).mean() for s in (few, test)
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

    few, test = digits(100), digits(test=True)
    model = nn.mlp(10, hidden=(128, 128), dropout=0.5)

    @jax.jit
    def run(key):
        def loss(params, key):
            logits = model.apply(params, few["x"], train=True, rngs={"dropout": key})
            return losses.softmax_cross_entropy(logits, few["y"]).mean()

        params = descend(loss, model.init(key, few["x"]), key, steps=400)

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
    "verdicts": verdicts,
    "early_stopping": early_stopping,
    "vicinal_risk": vicinal_risk,
    "weight_decay": weight_decay,
    "dropout": dropout,
}
