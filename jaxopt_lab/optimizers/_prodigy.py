"""Prodigy: Adam that finds its own learning rate."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import bias_correction
from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import refuse_complex
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay, decay_rates


@checked
@renamed(beta1="b1", beta2="b2", initial_distance="estim_lr0", coefficient="estim_lr_coef")
def prodigy(
    learning_rate: LearningRate = 1.0,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-8,
    estim_lr0: Positive = 1e-6,
    estim_lr_coef: Positive = 1.0,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    safeguard_warmup: bool = False,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Prodigy: Adam whose rate is its estimate d of the distance from the start to the solution.

    Where no rate is known and none can be searched. Leave eta at 1, or at a schedule of peak 1.

        a = eta d sqrt(1 - b2^t) / (1 - b1^t),    b3 = sqrt(b2)
        r <- b3 r + a (d / d_0) <g, theta_0 - theta>,    s <- b3 s + a (d / d_0) g
        d_next = max(d, c r / |s|_1)
        m <- b1 m + (1 - b1) d g,    v <- b2 v + (1 - b2) (d g)^2
        theta <- theta - a (m / (sqrt(v) + d_next eps) + lambda theta)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.
      estim_lr0: d_0 > 0, below the true distance.
      estim_lr_coef: c > 0, the factor on every estimate.
      weight_decay: lambda >= 0, a number, a traced array or a schedule.
      mask: which parameters decay: a pytree of bools, a prefix of one (True: all), or a function
        of the parameters that gives one; None for those of rank above 1.
      safeguard_warmup: static; whether s is summed with d in the place of a, for a long warm-up.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are no part of its rank; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`. It keeps
      theta_0: five accumulators in all. The estimate is `state.inner.estim_lr`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `init`, for complex parameters.

    Reference: Mishchenko and Defazio, 2024, https://arxiv.org/abs/2306.06101, Algorithm 4;
    `optax.contrib.prodigy`.

    Differs from: optax turns to NaN for good where the first step's rate or gradient is 0, and
    decays every parameter.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        def init(params):
            refuse_complex("prodigy", params)
            return optax.contrib.prodigy(eta, estim_lr0=estim_lr0).init(params)

        @full_precision
        def update(grads, state: Any, params=None):
            d, count = state.estim_lr, jnp.asarray(optax.safe_increment(state.count))
            b3 = b2**0.5
            # As optax rounds it.
            a = jnp.asarray(d * eta * ((1 - b2**count) ** 0.5 / (1 - b1**count)), d.dtype)
            dg = jax.tree.map(lambda g: d * g, grads)
            m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.exp_avg, dg)
            v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.exp_avg_sq, dg)
            weight = d if safeguard_warmup else a
            s = jax.tree.map(lambda s, g: b3 * s + weight * g / estim_lr0, state.grad_sum, dg)
            moved = jax.tree.map(lambda p0, p: p0 - p, state.params0, params)
            r = b3 * state.numerator_weighted
            r = r + d / estim_lr0 * a * optax.tree.vdot(grads, moved)
            total = jnp.asarray(optax.tree.sum(jax.tree.map(jnp.abs, s)))
            started = total > 0  # before something is summed, r / |s| is 0 / 0
            found = jnp.maximum(d, estim_lr_coef * r / jnp.where(started, total, 1))
            distance = jnp.where(started, found, d)
            c1, c2 = bias_correction(b1, step + 1), bias_correction(b2, step + 1)
            rate = eta * d * jnp.sqrt(c2) / c1
            updates = jax.tree.map(
                lambda m, v, p, lam: -a * m / (root(v) + distance * eps) - rate * lam * p,
                m,
                v,
                params,
                decay_rates(weight_decay, decays, params, step),
            )
            return updates, optax.contrib.ProdigyState(m, v, s, state.params0, distance, r, count)

        return optax.GradientTransformation(init, update)

    return from_optax("prodigy", learning_rate, build)
