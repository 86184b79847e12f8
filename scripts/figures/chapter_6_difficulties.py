"""The figures of chapter 6, other difficulties of deep networks."""

from collections.abc import Callable

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawing import COLORS, line, panels
from training import digits, train

from jaxopt_lab import diagnostics, losses, nn, optimizers
from jaxopt_lab.nn.activations import ACTIVATIONS
from jaxopt_lab.plots.panels import Figure


def activations() -> Figure:
    """Every activation, and its derivative by JAX."""
    figure, axes = panels(4, 2, width=2.3, height=2.1, sharex=True, sharey=True)
    z = jnp.linspace(-4, 4, 161)
    for one, (name, phi) in zip(axes.flat, ACTIVATIONS.items(), strict=True):
        bound = _Activation(phi).bind(_Activation(phi).init(jax.random.key(0), z))
        value, slope = jax.vmap(jax.value_and_grad(bound))(z)
        line(one, 0, z, value, "$\\varphi(z)$")
        line(one, 2, z, slope, "$\\varphi'(z)$")
        one.set_title(name, fontsize=10)
        one.set_ylim(-1.3, 2.2)
    for one in axes[-1]:
        one.set_xlabel("z")
    axes[0, 0].legend(frameon=False, loc="upper left", fontsize=8)
    return figure


class _Activation(linen.Module):
    """An activation by itself; prelu has a parameter, so it needs a module."""

    phi: Callable

    @linen.compact
    def __call__(self, x):
        return self.phi(x)


def initializations() -> Figure:
    """The size of the activations through 50 layers."""
    figure, axes = panels(2, width=4.4, height=3.2)
    x, width = digits(200)["x"], 100
    x = (x - x.mean()) / x.std()
    ways = {
        "Gaussian, 0.05": nn.gaussian(0.05),
        "Gaussian, 0.2": nn.gaussian(0.2),
        "Glorot": nn.glorot_normal(),
        "orthogonal": nn.orthogonal(),
        "He": nn.he_normal(),
        "LSUV": "lsuv",
    }
    for one, activation in zip(axes[0], ("tanh", "relu"), strict=True):
        model = nn.mlp(10, hidden=(width,) * 50, activation=activation)
        for i, (name, init) in enumerate(ways.items()):
            variables = _initialized(model, init, x)
            health = diagnostics.activation_health(model.apply, variables, x)
            rms = np.asarray(health.rms[:-1])
            line(one, i, np.arange(1, 51), np.maximum(rms, 1e-12), name, markevery=5)
        one.set(yscale="log", xlabel="layer", title=activation)
        one.set_ylim((1e-3, 3) if activation == "tanh" else (1e-8, 1e8))
    axes[0, 0].set_ylabel("rms of the activations")
    axes[0, 1].legend(frameon=False, fontsize=8, ncols=2)
    return figure


def _initialized(model, init, x):
    """The variables of a model, each kernel by `init(key, shape)`, or by LSUV."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(model.init, jax.random.key(0), x))
    if init == "lsuv":
        zeros = jax.tree.unflatten(structure, [jnp.zeros(p.shape) for p in leaves])
        return nn.lsuv(model, zeros, x, jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), len(leaves))
    new = [
        init(k, p.shape) if len(p.shape) > 1 else jnp.zeros(p.shape)
        for k, p in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, new)


def gradient_flow() -> Figure:
    """The gradient by layer, from the input to the output."""
    figure, ((axes,),) = panels(1, width=7.2, height=3.4)
    batch = digits(128)
    networks = {
        "sigmoid, plain": nn.plain(10, depth=20, width=8, norm="none", activation="sigmoid"),
        "ReLU, plain, Glorot": nn.plain(10, depth=20, width=8, norm="none", init="glorot_normal"),
        "ReLU, plain, He": nn.plain(10, depth=20, width=8, norm="none"),
        "ReLU, plain, 1.5 times He": nn.plain(10, depth=20, width=8, norm="none"),
        "ReLU, residual": nn.resnet(10, depth=20, width=8, norm="none"),
    }
    for i, (name, model) in enumerate(networks.items()):
        params = jax.jit(model.init)(jax.random.key(0), batch["x"][:1])["params"]
        if "1.5" in name:
            params = jax.tree.map(lambda p: 1.5 * p, params)

        def apply(params, x, model=model):
            return model.apply({"params": params}, x)

        def loss(params, apply=apply):
            return losses.softmax_cross_entropy(apply(params, batch["x"]), batch["y"]).mean()

        order = diagnostics.activation_health(apply, params, batch["x"]).order
        flow = diagnostics.gradient_flow(params, jax.jit(jax.grad(loss))(params), order=order)
        rms = np.asarray(flow.grad_rms)[: len(flow.layers)]
        line(axes, i, np.arange(1, len(rms) + 1), rms, name, marker=".")
    axes.set(yscale="log", xlabel="layer, from input to output", ylabel="rms of the gradient")
    axes.legend(frameon=False, fontsize=9)
    return figure


def landscape() -> Figure:
    """The loss about what was found, without shortcuts and with them."""
    figure, axes = panels(2, width=4.4, height=3.8)
    batch = digits(128)
    how = {"depth": 20, "width": 4}
    models = {"plain": nn.plain(10, **how), "residual": nn.resnet(10, **how)}
    for one, (name, model) in zip(axes[0], models.items(), strict=True):
        params, loss = _trained(model, batch)
        directions = [diagnostics.filter_normalized(jax.random.key(k), params) for k in (1, 2)]
        surface = diagnostics.loss_surface(loss, params, directions, steps=17, extent=1.0)
        levels = np.geomspace(1e-2, 10, 13)
        shown = np.clip(surface.values, levels[0], levels[-1])
        filled = one.contourf(surface.x, surface.y, shown, levels, norm="log", cmap="gray")
        one.contour(surface.x, surface.y, shown, levels, colors="black", linewidths=0.4)
        one.plot(0, 0, "*", color=COLORS[2], markersize=12)
        one.set(title=f"{name}, loss {float(loss(params)):.2g}", xlabel="first direction")
        one.grid(visible=False)
    axes[0, 0].set_ylabel("second direction")
    ticks = (0.01, 0.1, 1, 10)
    bar = figure.colorbar(filled, ax=list(axes[0]), label="training loss", ticks=ticks)
    bar.set_ticklabels([f"{tick:g}" for tick in ticks])
    return figure


def _trained(model, batch, steps=60):
    """The parameters after some full-batch steps of Adam, and the loss of them."""
    params, tx = (
        jax.jit(model.init)(jax.random.key(0), batch["x"][:1])["params"],
        optimizers.adam(3e-3),
    )

    def loss(params):
        # The statistics are those of this batch, because each point has its own.
        logits, _ = model.apply({"params": params}, batch["x"], train=True, mutable=["batch_stats"])
        return losses.softmax_cross_entropy(logits, batch["y"]).mean()

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state = tx.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params, jax.jit(loss)


def normalization_axes() -> Figure:
    """What is normalized together with one value: where its derivative is not zero."""
    figure = Figure(figsize=(9.2, 2.7), dpi=110, layout="constrained")
    n, hw, c = 4, 4, 6
    layers = {
        "batch": (nn.BatchNorm(), {"train": True, "mutable": ["batch_stats"]}),
        "layer": (nn.LayerNorm(), {}),
        "instance": (nn.InstanceNorm(), {}),
        "group": (nn.GroupNorm(groups=2), {}),
    }
    x = jax.random.normal(jax.random.key(0), (n, hw, 1, c))
    for i, (name, (layer, how)) in enumerate(layers.items()):
        variables = layer.init(jax.random.key(0), x)

        def one_value(x, layer=layer, how=how, variables=variables):
            y = layer.apply(variables, x, **how)
            return (y[0] if how else y)[0, 0, 0, -1]

        together = np.asarray(jax.grad(one_value)(x))[:, :, 0] != 0
        axes = figure.add_subplot(1, 4, i + 1, projection="3d")
        shown = together.transpose(2, 0, 1)[:, :, ::-1]  # channels, samples, positions upwards
        colors = np.where(shown, COLORS[1], "#F4F4F4")
        axes.voxels(np.ones(shown.shape, bool), facecolors=colors, edgecolor="0.4", linewidth=0.4)
        axes.set(xticks=[], yticks=[], zticks=[], title=name)
        axes.set_xlabel("C", labelpad=-12)
        axes.set_ylabel("N", labelpad=-12)
        axes.text2D(0.0, 0.5, "H, W", rotation=90, va="center", transform=axes.transAxes)
        axes.set_box_aspect(shown.shape)
        axes.view_init(elev=22, azim=-52)
    return figure


def normalization_training() -> Figure:
    """The loss of one network with each normalization, and with none."""
    figure, ((left, right),) = panels(2, width=4.4, height=3)
    for i, norm in enumerate(("none", "batch", "layer", "group", "instance")):
        run = train(
            "digits_cnn", f"model.norm={norm}", "model.channels=[8, 16, 32]", "augment=[]",
            "optimizer.learning_rate=0.4", "train.epochs=5",
        ).history  # fmt: skip
        smooth = np.convolve(run["loss"], np.ones(9) / 9, "valid")
        line(left, i, run["step"][4:-4], smooth, norm)
        error = 100 * (1 - run["val_accuracy"])
        line(right, i, np.arange(1, len(error) + 1), error, norm, marker=".")
    left.set(xlabel="step", ylabel="loss, mean of 9 batches", yscale="log")
    right.set(xlabel="epoch", ylabel="validation error, %", yscale="log")
    left.legend(frameon=False)
    return figure


def small_batches() -> Figure:
    """The error by batch size, at a rate in proportion: batch statistics against none."""
    figure, ((axes,),) = panels(1, width=6.4, height=3.2)
    sizes = (2, 4, 16, 64)
    kinds = {
        "batch normalization": ("model.norm=batch",),
        "group normalization": ("model.norm=group",),
        "the same, weights standardized": (
            "model.norm=group",
            "model.weight_standardization=standard",
        ),
    }
    for i, (name, kind) in enumerate(kinds.items()):
        errors = []
        for size in sizes:
            rate = ("optimizer.name=momentum", f"optimizer.learning_rate={0.001 * size}")
            run = train("digits_mlp", *kind, *rate, f"data.batch_size={size}", "train.epochs=5")
            errors.append(100 * (1 - run.test["accuracy"]))
        line(axes, i, np.array(sizes), errors, name, marker="o")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set(xlabel="batch size", ylabel="test error, %", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


FIGURES = {
    "small_batches": small_batches,
    "activations": activations,
    "initializations": initializations,
    "gradient_flow": gradient_flow,
    "landscape": landscape,
    "normalization_axes": normalization_axes,
    "normalization_training": normalization_training,
}
