"""Muon: orthogonalized momentum."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, full_batch_axes, masked
from jaxopt_lab.core.norm import norms
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, Range, checked, require_number
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.types import Params
from jaxopt_lab.optimizers.by_layer import by_layer
from jaxopt_lab.optimizers.from_optax import SMALLEST, from_optax
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
    ns_steps: Annotated[int, Range(1, 100)] = 5,
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
      ns_steps: static; Newton-Schulz iterations, 1 to 100.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are orthogonalized one by one and are no part of a rank; a number, a pytree of numbers, a
        prefix of one, or a function of the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Jordan et al., 2024, https://kellerjordan.github.io/posts/muon;
    `optax.contrib.muon`, whose steps on matrices these are.

    Differs from: optax gives tensors of rank above 2 to Adam; its Nesterov flag changes its Adam
    too, as here, and its m^ under Nesterov is divided by 1 - beta^(t+1).
    """
    require_number("muon", ns_steps=ns_steps)
    decays = masked(mask, batch_axes)

    def kinds(params):
        def kind(p, batch):
            return "matrix" if p.ndim - batch > 1 and p.size else "other"

        return jax.tree.map(kind, params, full_batch_axes(batch_axes, params))

    def decay(eta, step):
        # A member of its own, because one lambda and one mask serve the matrices and the rest.
        rate = -eta * value_at(weight_decay, step)
        return optax.add_decayed_weights(rate, decays)

    def build(eta, step):
        matrix = optax.chain(
            _momentum(beta, nesterov),
            by_layer(_orthogonalized(eps, ns_steps), batch_axes),
            optax.scale_by_learning_rate(eta),
        )
        other = optax.adam(eta, adam_b1, adam_b2, eps, SMALLEST, nesterov=nesterov)
        method = optax.partition({"matrix": matrix, "other": other}, kinds)
        return optax.chain(method, decay(eta, step))

    return from_optax("muon", learning_rate, build)


class MuonState(NamedTuple):
    """Steps taken and the momentum of the matrices."""

    count: jax.Array
    momentum: Params


def _momentum(beta: float, nesterov: bool) -> optax.GradientTransformation:
    """g becomes what is orthogonalized: its average without bias, with nesterov once more g."""

    def init(params):
        return MuonState(jnp.zeros([], jnp.int32), optax.tree.zeros_like(params))

    def update(grads, state, params=None):
        del params
        count = jnp.asarray(optax.safe_increment(state.count))
        # In the order of optax's sums.
        momentum = jax.tree.map(lambda m, g: (1 - beta) * g + beta * m, state.momentum, grads)
        now, following = 1 - beta**count, 1 - beta ** jnp.asarray(optax.safe_increment(count))

        def ahead(m, g):
            if not nesterov:
                return m / now.astype(m.dtype)
            mean = m / following.astype(m.dtype)
            return beta * mean + (1 - beta) * (g / now.astype(g.dtype))

        return jax.tree.map(ahead, momentum, grads), MuonState(count, momentum)

    return optax.GradientTransformation(init, update)


def _orthogonalized(eps: float, steps: int) -> optax.GradientTransformation:
    """u becomes `max(1, outputs / inputs)^(1/2) O` of each tensor as a matrix."""

    def direction(mean, length):
        matrix = mean.reshape(-1, mean.shape[-1])
        inputs, outputs = matrix.shape
        width = jnp.sqrt(jnp.maximum(1, outputs / inputs))
        unit = matrix * length.inverse / (length.size + eps * length.inverse)
        return width * newton_schulz(unit, steps).reshape(mean.shape)

    def update(means, state, params=None):
        del params
        leaves, structure = jax.tree.flatten(means)
        return structure.unflatten(map(direction, leaves, norms(leaves))), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


@full_precision
def newton_schulz(matrix: jax.Array, steps: int) -> jax.Array:
    """A matrix of the same singular vectors, with singular values near 1.

    X <- a X + b (X X^H) X + c (X X^H)^2 X        so many times, from |X| <= 1
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    transposed = matrix.shape[0] > matrix.shape[1]
    # The smaller of the two squares, in optax's batch of one.
    x = (matrix.T if transposed else matrix)[None]
    for _ in range(steps):
        square = x @ x.mT.conj()
        x = a * x + (b * square + c * square @ square) @ x
    return x[0].T if transposed else x[0]
