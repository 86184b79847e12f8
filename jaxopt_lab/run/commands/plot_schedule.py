"""`jaxopt-lab plot-schedule`: the learning rate of a run, drawn before it is trained."""

import pathlib

import jax
import numpy as np

from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.records.pictures import write_figure


def plot_schedule(config: Config, experiment: Experiment, path: pathlib.Path) -> None:
    """Draw the rate of every step into a PNG.

    Args:
      config, experiment: what is to be trained.
      path: of the picture to write.

    Raises:
      InputError: where the optimizer takes no rate.
    """
    if experiment.learning_rate is None:
        name = config.optimizer.name
        raise InputError(f"plot-schedule: {name} takes no learning rate, there is nothing to draw")
    from jaxopt_lab.plots import learning_rate_curve  # here: matplotlib takes long to import

    steps = np.arange(experiment.total_steps)
    rates = jax.jit(jax.vmap(experiment.learning_rate))(steps)
    write_figure(path, learning_rate_curve({"step": steps, "learning_rate": np.asarray(rates)}))
