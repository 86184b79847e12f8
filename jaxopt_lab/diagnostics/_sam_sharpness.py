"""How much the loss rises along its gradient."""

from collections.abc import Callable

import jax

from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import NonNegative, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.displaced import displaced
from jaxopt_lab.diagnostics.objective import scalar


@checked
@full_precision
def sam_sharpness(
    objective: Callable[[Params], jax.Array], params: Params, *, rho: NonNegative = 0.05
) -> jax.Array:
    """The rise of the loss along its gradient at radius rho: what SAM makes small.

        s = L(theta + rho g / |g|) - L(theta),    |g| over all parameters

    To first order the largest rise in the ball of that radius. It is 0 where the gradient is, even
    at a sharp minimum: there use `keskar_sharpness` or `top_eigenvalues`.

    Matrix products are at full precision ("highest"), because the rise is a difference of two
    losses.

    Args:
      objective: `params -> scalar`, such as `mean_loss(...)`.
      params: where; a pytree of floating arrays.
      rho: >= 0, the radius, in the parameters' units.

    Returns:
      A scalar; negative where the loss bends down within rho.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for an objective that gives no scalar.

    Reference: Foret et al., 2021, https://arxiv.org/abs/2010.01412
    """
    objective = scalar("sam_sharpness", objective)
    loss, grads = jax.value_and_grad(objective)(params)
    share = norm(grads).reciprocal  # where the gradient is 0 nothing moves
    uphill = jax.tree.map(lambda g: g * share.astype(g.dtype), grads)
    return objective(displaced(params, (uphill,), (rho,))) - loss
