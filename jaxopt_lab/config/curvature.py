"""The curvature that a second-order optimizer of a file is given."""

import functools
from typing import Any

import jax

from jaxopt_lab.config.parse import ConfigError
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import make_curvature
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.second_order import SECOND_ORDER, Curvature, bernoulli, categorical, normal

# The distribution that each loss is the negative logarithm of.
SAMPLERS = {"softmax_cross_entropy": categorical, "squared_error": normal, "logistic": bernoulli}


def build_curvature(config: Config, model: Any, loss: Any, **of_step: Any) -> CurvatureOf | None:
    """`(state, batch) -> Curvature`; None for a first-order optimizer.

    Raises:
      ConfigError: where the batch has more images than labels.
    """
    if config.optimizer.name not in SECOND_ORDER:
        return None
    if config.consistency:
        fault = f"has views of each sample, of which {config.optimizer.name} knows no curvature"
        raise ConfigError("configuration", [("loss.consistency", fault)])
    sampler = SAMPLERS.get(config.loss.name, functools.partial(_refuse, config.loss.name))
    create = functools.partial(Curvature, sample_label=sampler)
    return make_curvature(model, loss, create, **of_step)


def _refuse(name: str, key: jax.Array, outputs: jax.Array) -> jax.Array:
    del key, outputs
    losses = ", ".join(SAMPLERS)
    raise InputError(
        f"[loss] {name} is no distribution to draw labels from, which the Fisher needs: take "
        f'fisher = "empirical" or another kind of curvature, or one of the losses {losses}'
    )
