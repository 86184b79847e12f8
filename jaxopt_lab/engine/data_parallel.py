"""Batches of data on the host, dealt over devices."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.devices import DATA
from jaxopt_lab.engine.objective import MASK


def deal_rows(
    data: dict[str, np.ndarray], rows: np.ndarray, mask: np.ndarray | None, mesh: Mesh
) -> Batch:
    """The rows of a split on the host as a batch dealt over the mesh's axis "data".

    A process reads the rows of its own devices only.
    """
    sharding = NamedSharding(mesh, PartitionSpec(DATA))

    def dealt(values: np.ndarray, rows: np.ndarray) -> jax.Array:
        def own(index: Any) -> np.ndarray:
            return values[rows[index[0]]]

        return jax.make_array_from_callback((len(rows), *values.shape[1:]), sharding, own)

    batch = {name: dealt(values, rows) for name, values in data.items()}
    return batch if mask is None else batch | {MASK: dealt(mask, np.arange(len(mask)))}
