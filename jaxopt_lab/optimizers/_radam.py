"""RAdam: Adam with a rectified second moment."""

import optax

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
        return optax.radam(eta, b1, b2, eps)

    return from_optax("radam", learning_rate, build)
