"""Expected calibration error."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.losses._accuracy import accuracy


@checked
def expected_calibration_error(
    outputs: jax.Array, labels: jax.Array, *, bins: Count = 15
) -> jax.Array:
    """How far a classifier's confidence is from its accuracy, over a whole data set.

    For reading next to the accuracy: a network that is right in 90% of the cases where it says 90%
    has 0. It is no mean over samples: give it all outputs at once, not batches to be averaged.

        ECE = sum_m |B_m| / N |accuracy(B_m) - confidence(B_m)|
        B_m = {i : (m - 1)/M < p_i <= m/M},    p_i = max_k softmax(z_i)_k

    Args:
      outputs: logits z, (N, K), any float dtype, computed in float32 or wider; or for two classes
        (N,) or (N, 1), of which the sigmoid is the probability of the positive one.
      labels: as `accuracy` takes them: (N,) integer classes, or distributions, (N, K), whose
        largest entry counts; with one output above 0 for the positive class.
      bins: M >= 1, of equal width.

    Returns:
      A scalar in [0, 1]; NaN without samples.

    Raises:
      ArgumentError: for fewer bins than one.

    Reference: Guo et al., 2017, https://arxiv.org/abs/1706.04599, equation 3; 15 bins, section 4.
    """
    logits = outputs.astype(accumulator_dtype(outputs.dtype))
    if logits.ndim == 1 or logits.shape[1] == 1:
        confidence = jax.nn.sigmoid(jnp.abs(logits.reshape(-1)))
    else:
        confidence = jax.nn.softmax(logits).max(-1)
    bin_of = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
    gap = jax.ops.segment_sum(accuracy(outputs, labels) - confidence, bin_of, bins)
    return jnp.abs(gap).sum() / len(logits)
