"""How many runs of a device go at once."""

from typing import Any, Literal

from jax.extend.core import ClosedJaxpr

from jaxopt_lab.engine import has_convolution
from jaxopt_lab.sweeps.placement import run_bytes

# What a block of runs may take of a core's own cache and the next. Measured with perceptrons of
# 16 to 512 units: blocks of this size train 1.6 times as many runs a second as 128 at once.
BLOCK_BYTES = 6 * 2**20


def runs_at_once(
    vectorize: Literal["auto", "vmap", "map"],
    program: ClosedJaxpr,
    state: Any,
    batch: Any,
    platform: str,
) -> int | None:
    """How many of its runs a device vectorizes, block after block; None for all that it has.

    Args:
      vectorize: "vmap" for all, "map" for one; "auto" for what is faster: all on an accelerator. On
        a CPU one where the step has convolutions, for a kernel a run makes a grouped convolution,
        which is slow there; else as many as the caches hold.
      program: of a step of one run, `jax.make_jaxpr(step)(state, batch)`.
      state, batch: of one run, or their shapes.
      platform: of the devices, "cpu" for one.

    Returns:
      A count for `over_runs`.
    """
    if vectorize != "auto":
        return None if vectorize == "vmap" else 1
    if platform != "cpu":
        return None
    if has_convolution(program):
        return 1
    # Two even where they are larger: a batched product takes both kernels in one call.
    return max(2, BLOCK_BYTES // run_bytes(state, batch))
