"""Draw how first- and second-order methods go down the same two surfaces.

    python scripts/figures/optimizer_paths.py [--out FOLDER]

writes `quadratic.png`, an ill-conditioned quadratic whose axes are turned against those of the
parameters, and `valley.png`, Rosenbrock's curved valley. Every path is made by the package's own
optimizer. Both surfaces have a third parameter z in a "layer" of its own, tied to y by one more
square, c (z - y)^2, so that a method which treats layers apart differs from one that does not;
drawn are x and y, and the lowest value over z. A few seconds on any machine.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from paths import path

from jaxopt_lab import optimizers, plots, problems, second_order

TIE = {"quadratic": 0.1, "valley": 2.0}
START = {"quadratic": (-0.6, 2.0, 2.0), "valley": (-1.2, 1.0, 1.0)}
WINDOW = {"quadratic": ((-0.8, 1.5), (0.75, 2.75)), "valley": ((-1.7, 1.5), (-0.7, 1.9))}
TITLE = {
    "quadratic": "An ill-conditioned quadratic, turned by 30°  (curvature methods: η = 1/2)",
    "valley": "A curved valley, Rosenbrock's  (curvature methods: η = 1/4)",
}
STEPS = {"quadratic": 80, "valley": 150}


def optimizers_for(surface: str) -> dict[str, optax.GradientTransformationExtraArgs]:
    """The methods in the order of the course. Newton's full step would need no path to draw."""
    first, rate = {"quadratic": (1.5, 0.5), "valley": (1e-3, 0.25)}[surface]
    tiny = 1e-6
    return {
        "SGD": optimizers.sgd(first),
        "momentum": optimizers.momentum(first / 5, 0.85),
        "diagonal": second_order.diagonal_hessian(
            rate, 0.0, 0.0, tiny, estimator="gauss_newton", rule="damped"
        ),
        "block": second_order.block_natural_gradient(rate, tiny, fisher="ggn", blocks="leaf"),
        "natural gradient": second_order.natural_gradient(rate, tiny, solve="dense"),
        "Newton": second_order.newton(rate),
    }


def residuals(surface: str):
    """`params -> (1, 3)`, whose squares are the objective: a model with these as its outputs."""
    problem = problem_of(surface)

    def outputs(params, batch):
        del batch
        tie = params["second"] - params["first"][1:]
        return jnp.append(problem.residuals(params["first"]), TIE[surface] ** 0.5 * tie)[None]

    return outputs


def problem_of(surface: str) -> problems.Problem:
    if surface == "quadratic":
        return problems.quadratic(2, condition=100.0, angle=30.0)
    return problems.rosenbrock(steepness=100.0)


def draw(surface: str):
    problem, model_fn = problem_of(surface), residuals(surface)
    x, y, z = START[surface]
    start = {"first": jnp.array([x, y]), "second": jnp.array([z])}
    runs = {
        name: path(tx, model_fn, jnp.zeros((1, 3)), start, STEPS[surface])
        for name, tx in optimizers_for(surface).items()
    }
    (x0, x1), (y0, y1) = WINDOW[surface]
    x, y = jnp.linspace(x0, x1, 400), jnp.linspace(y0, y1, 400)
    z = jax.vmap(lambda y: jax.vmap(lambda x: problem.loss(jnp.stack([x, y])))(x))(y)
    return plots.descent_paths(
        {
            "x": np.asarray(x),
            "y": np.asarray(y),
            "z": np.asarray(z),
            "minimizer": np.asarray(problem.minimizer),
            "paths": {name: points["first"] for name, (points, _) in runs.items()},
            "values": {name: values for name, (_, values) in runs.items()},
            "title": TITLE[surface],
            "xlabel": "x  (first layer)",
            "ylabel": "y  (first layer)",
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the paths of optimizers on two surfaces.")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"), help="where to save")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for surface in TITLE:
        (folder / f"{surface}.png").write_bytes(plots.figure_png(draw(surface)))
        print(folder / f"{surface}.png")


if __name__ == "__main__":
    main()
