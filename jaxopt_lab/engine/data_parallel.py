"""Batches of data on the host, dealt over devices."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.devices import DATA


def own_places(count: int, mesh: Mesh) -> np.ndarray:
    """The places in a batch of `count` rows that are of this process's devices, in order."""
    slices = _sharding(mesh).addressable_devices_indices_map((count,)).values()
    return np.unique(np.concatenate([np.arange(count)[index] for index in slices]))


def deal_rows(batch: dict[str, np.ndarray], places: np.ndarray, count: int, mesh: Mesh) -> Batch:
    """A batch of `count` rows dealt over the mesh's axis "data".

    Args:
      batch: on the host, the rows at `places`: a process reads those of its own devices only.
      places: from `own_places`.
      count: rows of all processes together.
      mesh: of the devices.
    """
    sharding = _sharding(mesh)

    def dealt(values: np.ndarray) -> jax.Array:
        def own(index: Any) -> np.ndarray:
            return values[np.searchsorted(places, np.arange(count)[index[0]])]

        return jax.make_array_from_callback((count, *values.shape[1:]), sharding, own)

    return {name: dealt(values) for name, values in batch.items()}


def _sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(DATA))
