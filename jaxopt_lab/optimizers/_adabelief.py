"""AdaBelief: Adam that divides by the surprise."""

import optax

from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.from_optax import from_optax


@checked
@renamed(beta1="b1", beta2="b2")
def adabelief(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-16,
) -> optax.GradientTransformationExtraArgs:
    """AdaBelief: long steps where the gradient is as predicted, short ones where it surprises.

    Between `adam` and `momentum`; often generalizes better than the first.

        m <- b1 m + (1 - b1) g
        s <- b2 s + (1 - b2) (g - m)^2 + eps
        theta <- theta - eta m^ / (sqrt(s^) + eps)        m^, s^: divided by 1 - beta^t

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the prediction.
      b2: 0 <= b2 < 1, decay of the squared surprise.
      eps: > 0, added to the squared surprise and to the root.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Zhuang et al., 2020, https://arxiv.org/abs/2010.07468; `optax.adabelief`.
    """

    def build(eta, step):
        del step
        return optax.adabelief(eta, b1, b2, eps, eps)

    return from_optax("adabelief", learning_rate, build)
