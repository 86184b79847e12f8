"""`[log] curvature`: the largest eigenvalue and the noise scale as a run trains."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.metrics import CURVATURE
from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.types import Batch, Params
from jaxopt_lab.engine import Forward, Objective, Probe, TrainState
from jaxopt_lab.linalg import hessian_operator
from jaxopt_lab.second_order import noise_scale

POWER_STEPS = 4
PARTS = 8
"""Of a batch, whose gradients' spread is the noise: as many as divide it, and no more."""


def build_probe(config: Config, forward: Forward, objective: Objective) -> Probe | None:
    """The probe of a file; None where it asks for none.

    On the batch of the step, without augmentation, in evaluation mode and without penalties:
    - `top_eigenvalue`, the eigenvalue of the Hessian that is largest in magnitude, by 4 steps of
      power iteration that begin where the last measurement ended. Where it has not settled it is
      too small in magnitude.
    - `noise_scale` in samples, of the gradients of 8 parts of the batch.
    """
    if config.log.curvature is None:
        return None

    eigenvalue, scale = CURVATURE

    def start(state: TrainState, key: jax.Array) -> Params:
        return optax.tree.random_like(key, state.params)

    def measure(state: TrainState, batch: Batch) -> tuple[Params, dict[str, jax.Array]]:
        def mean_loss(params: Params, batch: Batch) -> jax.Array:
            outputs = forward.evaluate(params, state.model_state, batch["x"])
            return objective.terms(outputs, batch)["loss"]

        product = hessian_operator(lambda params: mean_loss(params, batch), state.params)
        vector, value = _power(product, state.probe)
        return vector, {
            eigenvalue: value,
            scale: _noise(jax.grad(mean_loss), state.params, batch),
        }

    return Probe(config.log.curvature, start, measure)


def _power(product: Callable[[Params], Params], vector: Params) -> tuple[Params, jax.Array]:
    """The vector after some products, of length 1, and the Rayleigh quotient of the last."""

    def body(_, carry):
        vector, _ = carry
        vector = _of_length_1(vector)
        image = product(vector)
        return image, jnp.asarray(optax.tree.vdot(vector, image), float)

    image, value = jax.lax.fori_loop(0, POWER_STEPS, body, (vector, jnp.zeros([], float)))
    # A matrix of zeros has no direction: the one before is as good as any.
    lost = norm(image).size == 0
    kept = jax.tree.map(lambda a, b: jnp.where(lost, a, b), vector, image)
    return _of_length_1(kept), value


def _of_length_1(tree: Params) -> Params:
    share = norm(tree).reciprocal
    return jax.tree.map(lambda x: (share * x).astype(x.dtype), tree)


def _noise(gradient: Callable[[Params, Batch], Params], params: Params, batch: Batch) -> jax.Array:
    samples = len(batch["y"])
    parts = math.gcd(samples, PARTS)
    if parts == 1:  # nothing to compare
        return jnp.full([], jnp.nan)
    size = samples // parts
    split = {name: v.reshape(parts, size, *v.shape[1:]) for name, v in batch.items()}
    grads: Any = jax.lax.map(lambda part: gradient(params, part), split)
    mean = jax.tree.map(lambda g: g.mean(0), grads)
    around = jax.tree.map(lambda g, m: g - m[None], grads, mean)
    spread = jnp.asarray(optax.tree.norm(around, squared=True))
    return size * noise_scale(mean, spread, parts)
