"""RAdam: Adam with a rectified second moment."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.norm import root, squared
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.from_optax import from_optax


@checked
@renamed(beta1="b1", beta2="b2")
def radam(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """RAdam: momentum until the second moment can be trusted, Adam from then on.

    Adam that needs no warm-up.

        rho = rho_oo - 2 t b2^t / (1 - b2^t),    rho_oo = 2 / (1 - b2) - 1
        theta <- theta - eta m^                               while rho < 5
        theta <- theta - eta r m^ / (sqrt(v^) + eps)          after; m^ and v^ as in `adam`
        r^2 = (rho - 4) (rho - 2) rho_oo / ((rho_oo - 4) (rho_oo - 2) rho)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Liu et al., 2020, https://arxiv.org/abs/1908.03265, Algorithm 2; `optax.radam`.
    """

    def build(eta, step):
        del step
        return optax.chain(_scale_by_radam(b1, b2, eps), optax.scale_by_learning_rate(eta))

    return from_optax("radam", learning_rate, build)


def _scale_by_radam(b1, b2, eps) -> optax.GradientTransformation:
    """`optax.scale_by_radam` with derivatives that are finite, while rho < 5 and at 0."""

    def update(grads, state: Any, params=None):
        del params
        count = jnp.asarray(optax.safe_increment(state.count))
        # In the order of optax's sums.
        m = jax.tree.map(lambda m, g: (1 - b1) * g + b1 * m, state.mu, grads)
        v = jax.tree.map(lambda v, g: (1 - b2) * squared(g) + b2 * v, state.nu, grads)
        c1, c2 = 1 - b1**count, 1 - b2**count
        limit = 2.0 / (1.0 - b2) - 1.0
        rho = limit - 2 * count * b2**count / (1 - b2**count)
        known = rho >= 5
        ratio = (rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho)
        r = root(jnp.where(known, ratio, 0))

        def step(m, v):
            mean = m / c1.astype(m.dtype)
            return jnp.where(
                known, r.astype(m.dtype) * mean / (root(v / c2.astype(v.dtype)).real + eps), mean
            )

        return jax.tree.map(step, m, v), state._replace(count=count, mu=m, nu=v)

    return optax.GradientTransformation(optax.scale_by_adam(b1, b2, eps).init, update)
