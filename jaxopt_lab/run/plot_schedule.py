"""`jaxopt-lab plot-schedule`: the learning rate of a run, drawn before it is trained."""

import io
import pathlib

import jax
import numpy as np

from jaxopt_lab.config.build import Experiment
from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.engine.checkpoint import write_atomically


def plot_schedule(experiment: Experiment, path: pathlib.Path) -> None:
    """Draw the rate of every step into a PNG.

    Args:
      experiment: what is to be trained.
      path: of the picture to write.

    Raises:
      InputError: where the optimizer takes no rate, or `path` is no place for a file.
    """
    require("matplotlib", "lab")
    if experiment.learning_rate is None:
        name = experiment.config.optimizer.name
        raise InputError(f"plot-schedule: {name} takes no learning rate, there is nothing to draw")
    if not path.parent.is_dir():
        raise InputError(f"plot-schedule: {path.parent} is no folder; make it, or give another")
    if path.is_dir() or path.suffix != ".png":
        raise InputError(f"plot-schedule: {path} must name a .png file")
    from jaxopt_lab.plots import learning_rate_curve  # here: matplotlib takes long to import

    steps = np.arange(experiment.total_steps)
    rates = jax.jit(jax.vmap(experiment.learning_rate))(steps)
    buffer = io.BytesIO()
    figure = learning_rate_curve({"step": steps, "learning_rate": np.asarray(rates)})
    figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())
