"""One run on several devices, each with its share of every batch."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step


def data_parallel(step: Step, mesh: Mesh, batch_size: int) -> Step:
    """The step with its batch dealt over the mesh's axis "data", parameters on every device.

    The program is still that of the whole batch, which XLA splits: means, and so the statistics of
    BatchNorm, are of the whole batch, and every random number is what it is on one device.

    Args:
      step: from `make_step`.
      mesh: with an axis "data".
      batch_size: rows of the whole batch.

    Returns:
      A step.

    Raises:
      InputError: where the devices do not divide the batch.
    """
    devices = mesh.shape["data"]
    if batch_size % devices:
        raise InputError(
            f"data.batch_size = {batch_size} is not a multiple of the {devices} devices: make it "
            f"{max(1, batch_size // devices) * devices}, or use fewer --devices"
        )
    rows, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))

    def parallel(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        batch = jax.lax.with_sharding_constraint(batch, rows)
        return jax.lax.with_sharding_constraint(step(state, batch), everywhere)

    return parallel


def deal_rows(data: dict[str, np.ndarray], rows: np.ndarray, mesh: Mesh) -> Batch:
    """The rows of a split on the host as a batch dealt over the mesh's axis "data".

    A process reads the rows of its own devices only.
    """
    sharding = NamedSharding(mesh, PartitionSpec("data"))

    def dealt(values: np.ndarray) -> jax.Array:
        def own(index: Any) -> np.ndarray:
            return values[rows[index[0]]]

        return jax.make_array_from_callback((len(rows), *values.shape[1:]), sharding, own)

    return {name: dealt(values) for name, values in data.items()}
