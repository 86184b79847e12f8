"""The curvature that a second-order optimizer of a file is given."""

import functools

import jax

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.parameter_groups import needs_curvature
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.tables import names_with
from jaxopt_lab.core.declare import declared, name_of
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Forward, Objective, make_curvature
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.second_order import Curvature


def build_curvature(config: Config, forward: Forward, objective: Objective) -> CurvatureOf | None:
    """`(state, batch) -> Curvature`; None for an optimizer that needs none.

    Raises:
      ConfigError: where the batch has more views than targets.
    """
    if not needs_curvature(config):
        return None
    if config.consistency:
        fault = f"has views of each sample, of which {config.optimizer.name} knows no curvature"
        raise ConfigError("configuration", [("loss.consistency", fault)])
    sampler = declared(objective.loss).sampler
    sampler = sampler or functools.partial(_refuse, name_of(objective.loss))
    return make_curvature(forward, objective, Curvature, sampler)


def _refuse(name: str, key: jax.Array, outputs: jax.Array) -> jax.Array:
    del key, outputs
    losses = ", ".join(names_with("loss", lambda d: d.sampler))
    raise InputError(
        f"[loss] {name} is no distribution to draw labels from, which the Fisher needs: take "
        f'fisher = "empirical" or another kind of curvature, or one of the losses {losses}'
    )
