"""What a step costs on a mesh, on paper: bytes, operations, and the time that bounds it.

Every device does its part of the operations, reads and writes what it holds, and moves what the
mesh shares. None of it needs the devices to be there.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxopt_lab.core.tree import size_bytes
from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.devices import DATA
from jaxopt_lab.engine.layout import Layout, without_data
from jaxopt_lab.engine.state import TrainState


class Chip(NamedTuple):
    """An accelerator, from its maker's data sheet.

    Attributes:
      name: what it is called.
      memory: bytes.
      flops: operations a second of a matrix product in bfloat16, and of one in float32 as JAX does
        it by default: on a TPU in bfloat16, on a GPU in TF32.
      bandwidth: bytes a second of its memory.
      link: bytes a second that it sends to the others of its mesh.
    """

    name: str
    memory: float
    flops: dict[str, float]
    bandwidth: float
    link: float


CHIPS = {
    "v5e": Chip("TPU v5e", 16e9, {"bfloat16": 197e12, "float32": 197e12}, 819e9, 200e9),
    "h100": Chip("H100 SXM", 80e9, {"bfloat16": 989e12, "float32": 494e12}, 3350e9, 450e9),
}


class Cost(NamedTuple):
    """What one device does in a step, on average over steps.

    Attributes:
      state: bytes of the parameters, the optimizer's state and all else that is carried.
      summed: bytes of what the devices sum, the results of `all-reduce`: gradients, and K-FAC's
        factors.
      gathered: bytes of what they bring together, the results of `all-gather`: parameters.
      operations: floating point operations, its part of them.
      kept: bytes between the forward and the backward pass, its part of them.
    """

    state: float
    summed: float
    gathered: float
    operations: float
    kept: float

    @property
    def memory(self) -> float:
        """Bytes that a device needs: its state, gradients as large as its parameters' part at most,
        what is gathered, and what is kept for the backward pass."""
        return self.state + self.summed + self.gathered + self.kept


def cost_on(
    layout: Layout,
    step: Callable[[TrainState, Batch], Any],
    state: TrainState,
    batch: Batch,
    *,
    kept: float = 0.0,
    factors: float = 0.0,
) -> Cost:
    """The cost of a step on a mesh, which need not be here.

    Args:
      layout: of the mesh; only its `data` axis is reckoned with: what `model` makes layers exchange
        depends on the model.
      step: from `make_step`.
      state, batch: their shapes, of the whole.
      kept: bytes of the whole batch between the passes.
      factors: bytes of K-FAC's factors that a step sums and of the inverses that it shares, on
        average over steps.

    Returns:
      A `Cost`.
    """
    # What a device has of each parameter while the model is applied, and so of its gradient.
    specs = layout.specs(state.params)
    applied = jax.tree.map(without_data, specs)
    split = [a != b for a, b in zip(*map(jax.tree.leaves, (applied, specs)), strict=True)]
    sizes = jax.tree.leaves(layout.bytes_of(state.params, applied))
    analysis = jax.jit(step).lower(state, batch).cost_analysis() or {}
    together = layout.sizes[DATA] > 1
    return Cost(
        state=sum(jax.tree.leaves(layout.bytes_of(state, layout.state_specs(state, state.params)))),
        summed=(sum(sizes) + factors) * together,
        gathered=sum(itertools.compress(sizes, split)),
        operations=float(analysis.get("flops", 0.0)) / layout.devices,
        kept=(kept + size_bytes(batch)) / layout.devices,
    )


def step_seconds(cost: Cost, chip: Chip, devices: int, dtype: str) -> dict[str, float]:
    """The least time of a step by each bound, and their sum where nothing overlaps.

    What is summed in a ring goes around twice less two parts, what is gathered once less one; the
    memory is read and written for the state, and read for what is gathered and kept.
    """
    ring = (devices - 1) / devices
    compute = cost.operations / chip.flops[dtype]
    memory = (2 * cost.state + 2 * cost.gathered + 2 * cost.kept) / chip.bandwidth
    links = ring * (2 * cost.summed + cost.gathered) / chip.link
    return {
        "compute": compute,
        "memory": memory,
        "links": links,
        "step": max(compute, memory) + links,
    }
