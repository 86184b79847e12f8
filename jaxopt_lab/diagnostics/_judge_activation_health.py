"""Whether activations die, saturate, vanish or explode."""

import numpy as np

from jaxopt_lab.core.ranges import Probability, checked
from jaxopt_lab.diagnostics._activation_health import ActivationHealth
from jaxopt_lab.diagnostics.verdict import (
    DIVERGED,
    KEEP_VARIANCE,
    NORMALIZE,
    Factor,
    Verdict,
    on_host,
)

_REMEDIES = {
    "healthy": (),
    "diverged": DIVERGED,
    "dead": (
        "Lower the learning rate, or warm it up: a large step can push biases so far down that a "
        "unit never comes back.",
        "Replace ReLU by its kin without a flat side, such as leaky ReLU, PReLU or ELU.",
        "Initialize with He's variance and biases of zero or a little above.",
        NORMALIZE,
    ),
    "saturated": (
        "Scale the first weights down: Glorot for tanh and sigmoid, or LSUV.",
        NORMALIZE,
        "Replace sigmoid and tanh by ReLU or its kin in the hidden layers.",
        "Standardize the inputs to mean 0 and variance 1.",
    ),
    "vanishing": (
        KEEP_VARIANCE,
        NORMALIZE,
        "Add residual connections, which carry the signal without a factor.",
    ),
    "exploding": (
        KEEP_VARIANCE,
        NORMALIZE,
        "Standardize the inputs to mean 0 and variance 1.",
        "Scale the branches of residual blocks down at the start, or normalize them.",
    ),
}


@checked
def judge_activation_health(
    health: ActivationHealth,
    *,
    dead: Probability = 0.4,
    saturated: Probability = 0.75,
    in_all: Factor = 1e3,
) -> Verdict:
    """A verdict on activations: healthy, dead, saturated, vanishing, exploding, or diverged.

    For arrays on the host, so not inside jit. The first that is true, of layers a in order:

        diverged     a norm is not finite
        exploding    max_a rms_a / rms_1 > in_all        rms of the pre-activations, and of all
        vanishing    rms_1 / min_a rms_a > in_all        layers only where none has an activation;
                     the same of their spread over samples
        dead         dead_a > dead in some layer
        saturated    saturated_a > saturated in some layer whose activation is flat at both ends,
                     the last one left out, where a network that is sure of its output is flat

    Args:
      health: of `activation_health`.
      dead: in [0, 1], the fraction of a layer's units that is too much. A fresh narrow ReLU layer
        has a few, the more the fewer samples there are: give some hundreds.
      saturated: in [0, 1], the fraction of flat units times samples that is too much.
      in_all: > 1, the factor between layers that is too much.

    Returns:
      A `Verdict`. Its layer is where it is worst; the evidence is `dead`, `saturated` (of the
      two-sided ones), `rms` and `spread` there, or for "healthy" the largest of all layers, and
      `rms_first` and `spread_first`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for a health that is traced, or of several networks.

    Reference: Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html; Lu et al.,
    2019, https://arxiv.org/abs/1903.06733
    """
    names = ("input_rms", "input_spread", "dead", "saturated", "sides")
    columns = {name: getattr(health, name) for name in names}
    rows = on_host("judge_activation_health", "health", health.layers, columns)
    rms, spread, died, flat, sides = (rows[name] for name in names)
    is_output = (np.arange(len(flat)) == len(flat) - 1) & (len(flat) > 1)
    flat = np.where((sides == 2) & ~is_output, flat, 0)
    # An output layer that starts at zero is no fault.
    bent = np.array([name != "none" for name in health.names])
    chosen = bent if bent.any() else ~bent
    first = rms[chosen][0]
    largest = np.where(chosen, rms, -np.inf)
    # By what each has fallen since the first; a single sample has no spread to lose.
    falls = np.fmax(_fall(rms, chosen), _fall(spread, chosen))
    if not np.isfinite(rms).all():
        kind, at = "diverged", int(np.argmin(np.isfinite(rms)))
    elif largest.max() > in_all * first:
        kind, at = "exploding", int(np.argmax(largest))
    elif falls.max() > in_all:
        kind, at = "vanishing", int(np.argmax(falls))
    elif died.max() > dead:
        kind, at = "dead", int(np.argmax(died))
    elif flat.max() > saturated:
        kind, at = "saturated", int(np.argmax(flat))
    else:
        kind, at = "healthy", None
    where = slice(None) if at is None else slice(at, at + 1)
    evidence = {
        "dead": float(died[where].max()),
        "saturated": float(flat[where].max()),
        "rms": float(rms[where].max()),
        "spread": float(spread[where].max()),
        "rms_first": float(first),
        "spread_first": float(spread[chosen][0]),
    }
    return Verdict(kind, None if at is None else health.layers[at], evidence, _REMEDIES[kind])


def _fall(sizes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The first of the chosen sizes over each of them; 1 for those not chosen, and 0 / 0."""
    first = sizes[chosen][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chosen & (first > 0), first / sizes, 1.0)
