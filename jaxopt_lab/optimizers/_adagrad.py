"""Adagrad."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.norm import squared
from jaxopt_lab.core.ranges import LearningRate, NonNegative, Positive, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_real
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at


class AdagradState(NamedTuple):
    """Steps taken and the sum of g^2, float32 or wider."""

    count: jax.Array
    total: Params


@checked
@renamed(initial_accumulator="initial_accumulator_value")
def adagrad(
    learning_rate: LearningRate, eps: Positive = 1e-8, initial_accumulator_value: NonNegative = 0.0
) -> optax.GradientTransformationExtraArgs:
    """Adagrad: each parameter's rate falls with the root of its summed squared gradients.

    For sparse features and convex problems. On deep networks its rates fall too early.

        G <- G + g^2
        theta <- theta - eta g / sqrt(G + eps)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      eps: > 0, under the root.
      initial_accumulator_value: G_0 >= 0; above 0 it damps the first steps.

    Returns:
      A transformation; state `AdagradState(count, total)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Duchi, Hazan and Singer, 2011, https://jmlr.org/papers/v12/duchi11a.html

    Differs from: Keras and optax start at 0.1 with epsilon 1e-7; PyTorch has its epsilon, 1e-10,
    outside the root (`compat.torch.Adagrad`).
    """
    return _adagrad(learning_rate, eps, initial_accumulator_value)


@checked
def scale_by_adagrad(
    eps: Positive = 1e-8, initial_accumulator_value: NonNegative = 0.0
) -> optax.GradientTransformationExtraArgs:
    """The direction of `adagrad`: g becomes g / sqrt(G + eps).

    Args:
      eps, initial_accumulator_value: as of `adagrad`.

    Returns:
      A transformation; state `AdagradState(count, total)`.

    Reference: `optax.scale_by_rss`.
    """
    return _adagrad(None, eps, initial_accumulator_value)


def _adagrad(
    learning_rate: ScalarOrSchedule | None, eps: float, initial_accumulator_value: float
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        total = jax.tree.map(lambda z: z + initial_accumulator_value, zeros_real(params))
        return AdagradState(jnp.zeros([], jnp.int32), cast_like(total, zeros_real(params)))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        g = widen(grads)
        total = jax.tree.map(lambda s, g: s + squared(g), state.total, g)
        step = jax.tree.map(lambda s, g: factor * g / jnp.sqrt(s + eps), total, g)
        return cast_like(step, grads), AdagradState(optax.safe_increment(state.count), total)

    return transformation(init, update)
