"""Muon: orthogonalized momentum."""

import jax
import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, full_batch_axes, masked
from jaxopt_lab.core.ranges import Count, Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@renamed(adam_beta1="adam_b1", adam_beta2="adam_b2")
def muon(
    learning_rate: LearningRate,
    beta: Decay = 0.95,
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    adam_b1: Decay = 0.9,
    adam_b2: Decay = 0.999,
    *,
    nesterov: bool = True,
    ns_steps: Count = 5,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Muon: momentum whose singular values are all brought to about 1, on matrices; Adam elsewhere.

    Fast for the hidden layers of large networks. Embeddings and the last layer are better left to
    Adam (`optax.partition`).

        m <- beta m + (1 - beta) g
        O  = Newton-Schulz(beta m^ + (1 - beta) g^)        m^, g^: divided by 1 - beta^t
        W <- W - eta (max(1, outputs / inputs)^(1/2) O + lambda W)

    A tensor of rank above 2 is taken as the matrix of all its axes but the last, by the last, as a
    Flax convolution's kernel is. One of rank below 2 takes Adam's step with the same eta.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      beta: 0 <= beta < 1, decay of the momentum.
      eps: > 0, added to the norm that is divided by, and to Adam's root.
      weight_decay: lambda >= 0, a number, a traced array or a schedule; a step shrinks by
        eta lambda.
      mask: which parameters decay: a pytree of bools, a prefix of one (True: all), or a function
        of the parameters that gives one; None for those of rank above 1.
      adam_b1: 0 <= b1 < 1, Adam's decay of the first moment.
      adam_b2: 0 <= b2 < 1, Adam's decay of the second moment.
      nesterov: static; whether the gradient is added once more, as above, or m^ alone is taken.
      ns_steps: static; Newton-Schulz iterations, >= 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are orthogonalized one by one and are no part of a rank; a number, a pytree of numbers, a
        prefix of one, or a function of the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Jordan et al., 2024, https://kellerjordan.github.io/posts/muon;
    `optax.contrib.muon`.

    Differs from: optax gives tensors of rank above 2 to Adam; its Nesterov flag changes its Adam
    too, as here, and its m^ under Nesterov is divided by 1 - beta^(t+1).
    """
    decays = masked(mask, batch_axes)

    def axes(p, batch):
        if p.ndim - batch < 2 or p.size == 0:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(batch, p.ndim - 1)), p.ndim - 1)

    def dimensions(params):
        return jax.tree.map(axes, params, full_batch_axes(batch_axes, params))

    def decay(eta, step):
        # A member of its own, because one lambda and one mask serve the matrices and the rest.
        rate = -eta * value_at(weight_decay, step)
        return optax.add_decayed_weights(rate, decays)

    def build(eta, step):
        method = optax.contrib.muon(
            eta,
            ns_steps=ns_steps,
            beta=beta,
            eps=eps,
            nesterov=nesterov,
            adam_b1=adam_b1,
            adam_b2=adam_b2,
            muon_weight_dimension_numbers=dimensions,
        )
        return optax.chain(method, decay(eta, step))

    return from_optax("muon", learning_rate, build)
