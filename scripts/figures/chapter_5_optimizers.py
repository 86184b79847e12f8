"""The figures of chapter 5, optimizers for deep networks."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false, reportOptionalMemberAccess=false

import tempfile

import jax
import numpy as np
from drawing import COLORS, line, panels
from matplotlib.figure import Figure
from paths import valley, walk

import jaxopt_lab
from jaxopt_lab import control, data, engine, optimizers, problems, schedules, second_order

WINDOW = (-0.4, 2.4, -0.4, 2.4)


def momentum_paths() -> Figure:
    """SGD crawls along the valley, momentum overshoots its end, Nesterov less so."""
    problem = problems.quadratic(2, condition=60.0, angle=25.0)
    methods = {
        "SGD": optimizers.sgd(0.4),
        "momentum": optimizers.momentum(0.4, 0.85),
        "Nesterov": optimizers.nesterov(0.4, 0.85),
    }
    return _compared(problem, methods, 60, WINDOW, (0.0, 0.0))


def newton_paths() -> Figure:
    """On a correlated valley only a whole matrix finds the way, Newton's or the Fisher's."""
    problem = problems.quadratic(2, condition=60.0, angle=35.0)
    methods = {
        "gradient descent": optimizers.sgd(1.5),
        "diagonal curvature": second_order.diagonal_hessian(
            0.5, 0.0, 0.0, 1e-6, estimator="gauss_newton", rule="damped"
        ),
        "natural gradient": second_order.natural_gradient(0.5, 1e-6, solve="dense"),
        "Newton": second_order.newton(0.5),
    }
    return _compared(problem, methods, 30, (-0.4, 2.4, -0.4, 2.4), (0.2, -0.2))


def rosenbrock_paths() -> Figure:
    """Where the curvature changes, Newton's Hessian and the Gauss-Newton matrix are two things."""
    methods = {
        "gradient descent": optimizers.sgd(1e-3),
        "natural gradient": second_order.natural_gradient(0.25, 1e-6, solve="dense"),
        "Newton": second_order.newton(0.25),
    }
    return _compared(problems.rosenbrock(), methods, 60, (-1.6, 1.4, -1.0, 1.8), (-1.2, 1.0))


def adaptive_paths() -> Figure:
    """A rate for each parameter helps in a valley along an axis, not in one that is turned."""
    figure, (paths, losses) = panels(2, 2, width=4.2, height=3.2)
    methods = {
        "SGD": optimizers.sgd(1.0),
        "Adagrad": optimizers.adagrad(0.3),
        "RMSprop": optimizers.rmsprop(0.03),
        "Adadelta": optimizers.adadelta(1.0, 0.9, 1e-3),
        "Adam": optimizers.adam(0.1),
        "Nadam": optimizers.nadam(0.1),
    }
    # The same valley and the same start in it, but for the turn.
    starts = {0.0: (0.0, 0.2), 45.0: (0.86, -0.27)}
    for (angle, start), above, below in zip(starts.items(), paths, losses, strict=True):
        problem = problems.quadratic(2, condition=100.0, angle=angle)
        valley(above, problem, WINDOW)
        above.set_title("along the axes" if angle == 0 else "turned by 45°")
        for i, (name, tx) in enumerate(methods.items()):
            points, values = walk(tx, problem, 80, start)
            line(above, i, *points.T, name)
            line(below, i, np.arange(len(values)), values, name)
        below.set(yscale="log", ylim=(1e-7, 3), xlabel="step", ylabel="loss")
    losses[0].legend(frameon=False, fontsize=8)
    return figure


def _compared(problem, methods, steps, window, start) -> Figure:
    """The methods' paths on a problem, and their losses."""
    figure, ((left, right),) = panels(2, width=4.4, height=3.4)
    valley(left, problem, window)
    for i, (name, tx) in enumerate(methods.items()):
        points, values = walk(tx, problem, steps, start)
        wide = 4 if name == "natural gradient" else 1.4  # seen where another lies on it
        line(left, i, *points.T, name, marker=".", markersize=2 + wide, linewidth=wide, alpha=0.8)
        line(
            right,
            i,
            np.arange(steps + 1),
            np.maximum(values, 1e-10),
            name,
            linewidth=wide,
            alpha=0.8,
        )
    right.set(yscale="log", ylim=(1e-8, None), xlabel="step", ylabel="loss")
    right.legend(frameon=False)
    return figure


# Arguments of each schedule for a run of 100 steps.
EXAMPLES = {
    "constant": {},
    "linear_decay": {"steps": 80, "end": 0.1},
    "inverse_time_decay": {"rate": 0.1},
    "exponential_decay": {"every": 30, "rate": 0.5},
    "step_decay": {"at": (50, 75)},
    "polynomial_decay": {"steps": 80, "power": 2.0},
    "cosine_decay": {"steps": 100},
    "cyclical": {"up": 10, "mode": "triangular2"},
    "sgdr": {"cycle": 14, "t_mult": 2},
    "one_cycle": {"steps": 100},
    "wsd": {"steps": 100, "warmup": 10, "decay": 30},
    "warmup": {"steps": 30},
}


def all_schedules() -> Figure:
    """Every schedule by its name, over 100 steps."""
    figure, axes = panels(4, 3, width=2.3, height=1.7, sharex=True, sharey=True)
    step = np.arange(101)
    for one, (name, make) in zip(axes.flat, schedules.SCHEDULES.items(), strict=True):
        rate = jax.vmap(make(**EXAMPLES[name]))(step)
        line(one, 1, step, rate, name, linestyle="-")
        one.set_title(name, fontsize=10)
        one.set_ylim(-0.03, 1.08)
    for one in axes[-1]:
        one.set_xlabel("step")
    for one in axes[:, 0]:
        one.set_ylabel("rate / peak", fontsize=9)
    return figure


def cyclical_rates() -> Figure:
    """Smith's three triangles, and a momentum that goes the other way."""
    figure, ((left, right),) = panels(2, width=4.2, height=2.8)
    step = np.arange(121)
    for i, mode in enumerate(("triangular", "triangular2", "exp_range")):
        rate = schedules.cyclical(20, mode=mode, gamma=0.985, base=0.1)
        line(left, i, step, jax.vmap(rate)(step), mode)
    left.set(xlabel="step", ylabel="rate / peak", ylim=(0, 1.35), title="three modes")
    left.legend(frameon=False, ncols=3, fontsize=8, loc="upper center", columnspacing=1)
    rate, beta = schedules.cyclical(20), schedules.cyclical(20, base=0.95, peak=0.85)
    line(right, 0, step, jax.vmap(rate)(step), "rate / peak")
    line(right, 1, step, jax.vmap(beta)(step), "momentum $\\beta$")
    right.set(xlabel="step", ylim=(0, 1.35), title="the rate and the momentum")
    right.legend(frameon=False, ncols=2, fontsize=8, loc="upper center")
    return figure


def sgdr_snapshots() -> Figure:
    """One run with four restarts, what each snapshot knows, and what they know together."""
    figure, ((left, right),) = panels(2, width=4.4, height=3, width_ratios=(3, 2))
    cycles, length = 5, 4
    config = jaxopt_lab.load_config(
        "digits_nesterov_sgdr_snapshots",
        [
            "model.name=mlp",  # without batch statistics, which would be measured for each member
            "control.0.members=5",
            f'schedule.cycle="{length} epochs"',
            f"train.epochs={cycles * length}",
        ],
        unset=["model.channels"],
    )
    with tempfile.TemporaryDirectory() as folder:
        history = jaxopt_lab.train(config, f"{folder}/run", progress=False).history
        run = jaxopt_lab.load_run(f"{folder}/run", step=int(history["step"][-1]))
    steps = history["step"] * cycles * length / history["step"][-1]
    epochs = np.arange(1, cycles * length + 1)
    line(left, 0, steps, history["learning_rate"], "learning rate $\\eta$", linewidth=1)
    line(left, 1, epochs, history["val_loss"], "validation loss", marker=".")
    ends = epochs[length - 1 :: length]
    left.plot(ends, history["val_loss"][ends - 1], "v", color=COLORS[2], label="snapshot", zorder=4)
    left.set(
        xlabel="epoch",
        ylabel="rate, and loss",
        yscale="log",
        ylim=(1e-3, 5),
        xticks=range(0, cycles * length + 1, length),
    )
    left.legend(frameon=False, fontsize=8, ncols=3, loc="upper center")

    test = data.digits().test
    x = run.signature.inputs(test["x"])
    members = control.snapshot_params(run.state.opt_state)

    def error(*which: int) -> float:
        """In percent, of the ensemble of these snapshots."""
        some = jax.tree.map(lambda p: p[np.array(which)], members)
        apply = run.experiment.forward.evaluate
        p = engine.ensemble_predict(lambda v, x: apply(v, {}, x), some, x)
        return 100 * float((p.argmax(-1) != test["y"]).mean())

    number = np.arange(1, cycles + 1)
    line(right, 2, number, [error(i) for i in range(cycles)], "snapshot i alone", marker="v")
    line(right, 0, number, [error(*range(i)) for i in number], "ensemble of 1 to i", marker="o")
    right.set(xlabel="i", ylabel="test error, %", ylim=(0, None), xticks=number)
    right.legend(frameon=False)
    return figure


FIGURES = {
    "sgdr_snapshots": sgdr_snapshots,
    "momentum_paths": momentum_paths,
    "schedules": all_schedules,
    "cyclical_rates": cyclical_rates,
    "newton_paths": newton_paths,
    "rosenbrock_paths": rosenbrock_paths,
    "adaptive_paths": adaptive_paths,
}
