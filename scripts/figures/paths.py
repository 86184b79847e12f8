"""Where optimizers go: on a problem, and on what a model's outputs are compared with."""

# What Flax and NumPy return is wider in their annotations than here.
# pyright: reportCallIssue=false

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes

from jaxopt_lab import losses, problems, second_order


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


def walk(tx, problem: problems.Problem, steps: int, start=None) -> tuple:
    """Points (steps + 1, 2) of an optimizer on a problem, and its objective at each."""
    start = problem.start if start is None else jnp.asarray(start, float)
    target = jnp.zeros((1, len(problem.residuals(start))))
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
