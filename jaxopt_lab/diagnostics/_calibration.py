"""How far a classifier's probabilities can be trusted."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.losses import accuracy, expected_calibration_error

# Of log(1 / temperature): 50 halvings of it end below float32's spacing, and float64's nearly.
_COLDEST, _WARMEST, _HALVINGS = 0.01, 100.0, 50


class Calibration(NamedTuple):
    """A reliability diagram of M bins, and what sums it up; float32 or wider.

    Attributes:
      confidence: (M,), mean confidence of each bin's samples; NaN in an empty bin.
      accuracy: (M,), fraction of them that are right; NaN in an empty bin.
      count: (M,) int32, samples in each bin.
      ece: expected calibration error, the mean gap weighted by count.
      mce: maximum calibration error, the largest gap of a bin that has samples.
      brier: mean over samples of sum_k (p_k - y_k)^2, in [0, 2].
      nll: negative log-likelihood, the mean of -log p_y.
      temperature: T > 0 that minimizes the NLL of softmax(z / T) on these samples.
      tempered_nll: the NLL at that temperature.
    """

    confidence: jax.Array
    accuracy: jax.Array
    count: jax.Array
    ece: jax.Array
    mce: jax.Array
    brier: jax.Array
    nll: jax.Array
    temperature: jax.Array
    tempered_nll: jax.Array


@checked
def calibration(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    bins: Count = 15,
    kind: Literal["logits", "probabilities"] = "logits",
) -> Calibration:
    """The reliability diagram of a classifier, its calibration errors, and the right temperature.

    For whether "90%" means 90%: on the validation split, and then all at once, not batch by batch.

        B_m = {i : (m - 1)/M < p_i <= m/M},    p_i = max_k softmax(z_i)_k
        ECE = sum_m |B_m| / N |accuracy(B_m) - confidence(B_m)|
        MCE = max_m |accuracy(B_m) - confidence(B_m)|
        T = argmin_T mean of -log softmax(z / T)_y

    T above 1 means that the network is too sure. 1/T is found by bisection, because the NLL is
    convex in it. T is fitted to these samples: take them from the validation split, and report the
    NLL on others.

    Args:
      outputs: logits z or probabilities, (N, K), any float dtype; or for two classes (N,) or
        (N, 1), those of the positive one. Computed in float32 or wider; a probability of 0 counts
        as the least normal number.
      labels: (N,) integer classes, or distributions, (N, K), whose largest entry counts as right;
        with one output 0 or 1, or the probability of the positive class.
      bins: M >= 1, of equal width.
      kind: what the outputs are: "logits" or "probabilities".

    Returns:
      A `Calibration`. The temperature is in [0.01, 100]: at its lower end where all samples are
      right or no temperature matters, at its upper end where the outputs are worse than none. NaN
      where outputs are.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where the shapes do not fit, or there are no samples.

    Reference: Guo et al., 2017, https://arxiv.org/abs/1706.04599; Brier, 1950,
    https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    outputs, labels = jnp.asarray(outputs), jnp.asarray(labels)
    z = _logits(outputs.astype(accumulator_dtype(outputs.dtype)), kind)
    return _measured(z, _distribution(labels, outputs.shape, z), bins)


@functools.partial(jax.jit, static_argnums=2)
def _measured(z: jax.Array, y: jax.Array, bins: int) -> Calibration:
    """Of logits and distributions, (N, K) each."""
    p = jax.nn.softmax(z)
    confidence, right = p.max(-1), accuracy(z, y)
    bin_of = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
    count, sure, hits = (
        jax.ops.segment_sum(a, bin_of, bins)
        for a in (jnp.ones_like(bin_of), confidence, right.astype(z.dtype))
    )
    gap = jnp.where(count > 0, jnp.abs(hits - sure) / jnp.maximum(count, 1), 0)
    temperature = _temperature(z, y)
    return Calibration(
        confidence=sure / count,
        accuracy=hits / count,
        count=count,
        ece=expected_calibration_error(z, y, bins=bins),
        mce=gap.max(),
        brier=jnp.square(p - y).sum(-1).mean(),
        nll=_nll(z, y),
        temperature=temperature,
        tempered_nll=_nll(z / temperature, y),
    )


def _logits(outputs: jax.Array, kind: str) -> jax.Array:
    """(N, K) logits of any form of outputs; a probability of 0 counts as the least that is."""
    if outputs.ndim not in (1, 2) or outputs.size == 0:
        raise InputError(
            "calibration: outputs must be (N, K) or (N,), of one sample or more, got "
            f"{outputs.shape}"
        )
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        positive = outputs.reshape(-1)
        if kind == "logits":
            return jnp.stack([jnp.zeros_like(positive), positive], -1)
        outputs = jnp.stack([1 - positive, positive], -1)
    if kind == "logits":
        return outputs
    return jnp.log(jnp.maximum(outputs, jnp.finfo(outputs.dtype).tiny))


def _distribution(labels: jax.Array, shape: tuple[int, ...], z: jax.Array) -> jax.Array:
    """(N, K) of any form of labels."""
    if len(shape) == 1 or shape[1] == 1:
        if labels.size == len(z) and labels.shape in ((len(z),), shape):
            positive = labels.reshape(-1).astype(z.dtype)
            return jnp.stack([1 - positive, positive], -1)
    elif labels.shape == z.shape:
        return labels.astype(z.dtype)
    elif labels.shape == (len(z),) and jnp.issubdtype(labels.dtype, jnp.integer):
        return jax.nn.one_hot(labels, z.shape[1], dtype=z.dtype)
    raise InputError(
        f"calibration: labels {labels.shape} {labels.dtype} do not fit outputs {shape}: give one "
        "integer class a sample, or the outputs' shape"
    )


def _nll(z: jax.Array, y: jax.Array) -> jax.Array:
    # A class without a label is left out, because 0 times an infinite logarithm would be NaN.
    log_p = jax.nn.log_softmax(z)
    return -jnp.where(y == 0, 0, y * log_p).sum(-1).mean()


def _temperature(z: jax.Array, y: jax.Array) -> jax.Array:
    """The T at which the slope of the NLL by b = 1/T is 0: mean of E_p[z] - E_y[z]."""
    z = z - z.max(-1, keepdims=True)

    def rises(log_b):
        excess = jax.nn.softmax(jnp.exp(log_b) * z) - y
        # A class ruled out by a logit of -infinity adds nothing.
        return jnp.where(excess == 0, 0, excess * z).sum(-1).mean() > 0

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        above = rises(middle)
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    start = [jnp.asarray(-jnp.log(t), z.dtype) for t in (_WARMEST, _COLDEST)]
    low, high = lax.fori_loop(0, _HALVINGS, halve, tuple(start))
    return jnp.where((z <= 0).all(), jnp.exp(-(low + high) / 2), jnp.nan)
