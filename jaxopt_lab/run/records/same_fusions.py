"""A run goes on compiled as it was, so that it comes to the same numbers to the byte."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jaxlib

from jaxopt_lab.engine.fusions import DEFAULT, has_fusions

XLA = "xla"
"""What a checkpoint and a summary call the fusions, of `engine.fusions`, of the steps."""


def same_fusions(beside: Mapping[str, Any], say: Callable[[str], None]) -> str:
    """The fusions with which a run goes on.

    Args:
      beside: what its checkpoint vouches for.
      say: told where this jaxlib cannot compile so.

    Returns:
      Those of the checkpoint; XLA's default where they are not to be had.
    """
    was, platform = beside.get(XLA, DEFAULT), jax.default_backend()  # once there was no choice
    if has_fusions(was, platform):
        return was
    if platform == "cpu":
        say(
            f"jaxlib {jaxlib.__version__} cannot compile with xla = {was!r}, as before: "
            "the default goes on, which rounds otherwise"
        )
    return DEFAULT
