"""The parts of a method's error: bias, variance and noise."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import Count, Range, checked
from jaxopt_lab.core.tree import accumulator_dtype

Repeats = Annotated[int, Range(2)]


class BiasVariance(NamedTuple):
    """The parts of an error, means over the N test samples; scalars, float32 or wider.

        total = bias + net_variance + noise + cross

    Attributes:
      bias: squared bias; of the 0-1 loss the fraction of samples whose main prediction is wrong.
      variance: of the predictions; of the 0-1 loss how often one is not the main prediction.
      net_variance: what variance adds to the error. For the squared loss it is the variance; for
        the 0-1 loss it is what varies where the main prediction is right, less what varies to the
        right class where it is wrong, so it may be below 0.
      noise: the mean of (y - f)^2; 0 where the truth f is not given, and then part of the bias.
      cross: 2 mean of (mean prediction - f)(f - y), 0 in expectation, because noise is not known to
        the method; 0 where no truth is given.
      total: the mean loss of all runs.
    """

    bias: jax.Array
    variance: jax.Array
    net_variance: jax.Array
    noise: jax.Array
    cross: jax.Array
    total: jax.Array


@checked
def bias_variance(
    train_fn: Callable[[jax.Array, Any], jax.Array],
    data: Any,
    targets: jax.Array,
    key: jax.Array,
    *,
    repeats: Repeats = 50,
    loss: Literal["squared", "zero_one"] = "squared",
    truth: jax.Array | None = None,
    at_once: Count | None = None,
) -> BiasVariance:
    """The error of a training method in its parts, over training sets and random keys.

    To tell whether a larger model (bias) or more data, regularization or an ensemble (variance) is
    what a method needs. The training runs are one vmapped program.

    Squared loss, of predictions p_r(x) of runs r = 1 ... R, p their mean and f the truth:

        variance = s^2 = sum_r (p_r - p)^2 / (R - 1)
        bias = (p - f)^2 - s^2 / R        noise = (y - f)^2

    Both are unbiased: the mean of few runs varies itself, by s^2 / R, which (p - f)^2 holds too. An
    estimate of a small bias may so be below 0.

    0-1 loss, of classes, m(x) the main prediction, the most frequent one (the least of equal ones):

        bias = [m != y]        variance = P(p_r != m)
        net_variance = P(p_r != m) where m = y,    -P(p_r = y) where m != y

    The main prediction is no mean, so nothing here corrects for few runs. Labels are taken as
    without noise.

    Args:
      train_fn: `train_fn(key, train) -> predictions` on the test inputs, traceable by JAX: (N, ...)
        numbers, or (N,) integer classes for the 0-1 loss. It trains from the start.
      data: the training set, a pytree of arrays (n, ...), of which each run gets a bootstrap sample
        of n; or a function `data(key) -> train` that draws a fresh one. The bootstrap knows one
        training set only: its bias is about that of the method, its variance an estimate.
      targets: y of the test samples, (N, ...), as the predictions.
      key: for the training sets and the runs.
      repeats: R >= 2.
      loss: "squared" or "zero_one".
      truth: f(x) = E[y | x], as `targets`; for the squared loss only. Without it f is y, and the
        bias includes the noise.
      at_once: how many runs are vmapped; None for all.

    Returns:
      A `BiasVariance`, whose parts sum to the total.

    Raises:
      ArgumentError: for a number out of its range, or a truth with the 0-1 loss.
      InputError: for shapes that do not fit, or predictions that are no classes.

    Reference: Geman et al., 1992, https://doi.org/10.1162/neco.1992.4.1.1; Domingos, 2000,
    https://homes.cs.washington.edu/~pedrod/papers/mlc00a.pdf
    """
    if loss == "zero_one" and truth is not None:
        text = "is for the squared loss, got one with loss='zero_one': leave it out"
        raise ArgumentError("bias_variance", {"truth": text})
    if not callable(data) and (
        not jax.tree.leaves(data) or len({jnp.shape(a)[:1] for a in jax.tree.leaves(data)}) > 1
    ):
        shapes = [jnp.shape(a) for a in jax.tree.leaves(data)]
        raise InputError(
            "bias_variance: data must be arrays of one length, or a function of a key, got "
            f"{shapes}"
        )

    def run(key):
        draw, train = jax.random.split(key)
        return train_fn(train, data(draw) if callable(data) else _bootstrap(draw, data))

    @jax.jit
    def runs(keys):
        # Not in a loop unless asked, because there a convolution's gradients are slow on CPU.
        if at_once is None or at_once >= repeats:
            return jax.vmap(run)(keys)
        return lax.map(run, keys, batch_size=at_once)

    predictions = runs(jax.random.split(key, repeats))
    targets = jnp.asarray(targets)
    truth = targets if truth is None else jnp.asarray(truth)
    for name, array in (("targets", targets), ("truth", truth)):
        if array.shape != predictions.shape[1:]:
            raise InputError(
                f"bias_variance: {name} must have the shape of one run's predictions, "
                f"{predictions.shape[1:]}, got {array.shape}"
            )
    if loss == "squared":
        return _squared(predictions, targets, truth)
    if not all(jnp.issubdtype(a.dtype, jnp.integer) for a in (predictions, targets)):
        raise InputError(
            "bias_variance: the 0-1 loss needs integer classes, got predictions "
            f"{predictions.dtype} and targets {targets.dtype}: take argmax of scores"
        )
    return _zero_one(predictions, targets)


def _bootstrap(key, data):
    leaves = jax.tree.leaves(data)
    index = jax.random.randint(key, (len(leaves[0]),), 0, len(leaves[0]))
    return jax.tree.map(lambda a: jnp.asarray(a)[index], data)


@jax.jit
def _squared(predictions, targets, truth) -> BiasVariance:
    dtype = accumulator_dtype(jnp.result_type(predictions, targets, truth, jnp.bfloat16))
    p, y, f = (a.astype(dtype) for a in (predictions, targets, truth))
    mean, variance = p.mean(0), p.var(0, ddof=1)
    bias = jnp.square(mean - f) - variance / len(p)
    noise, cross = jnp.square(y - f), 2 * (mean - f) * (f - y)
    total = jnp.square(p - y[None]).mean(0)
    return BiasVariance(*(a.mean() for a in (bias, variance, variance, noise, cross, total)))


@jax.jit
def _zero_one(p, y) -> BiasVariance:
    # How many runs agree with each; one run after another, so that no (R, R, N) is ever there.
    votes = lax.map(lambda one: (p == one[None]).sum(0), p)
    most = votes == votes.max(0)[None]
    main = jnp.where(most, p, jnp.iinfo(p.dtype).max).min(0)
    wrong = main != y
    differs, right = ((p != main[None]).mean(0), (p == y[None]).mean(0))
    net = jnp.where(wrong, -right, differs)
    zero = jnp.zeros_like(net)
    total = (p != y[None]).mean(0)
    return BiasVariance(*(a.mean() for a in (wrong, differs, net, zero, zero, total)))
