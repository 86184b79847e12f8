"""A mesh of devices, and what lies on all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine.compilation import jit_once

RUN, DATA = "run", "data"


def device_mesh(devices: Sequence[Any] | None = None, *, data: int = 1) -> Mesh:
    """A mesh `("run", "data")`.

    Args:
      devices: to use; None for all.
      data: how many devices share one run's batches; the others are other runs'.

    Returns:
      A mesh of `(len(devices) / data, data)`.

    Raises:
      InputError: where `data` does not divide the number of devices.
    """
    found = np.array(jax.devices() if devices is None else devices)
    if data < 1 or len(found) % data:
        raise InputError(f"data = {data} devices a run do not divide the {len(found)} there are")
    return Mesh(found.reshape(-1, data), (RUN, DATA), axis_types=(AxisType.Auto,) * 2)


def some_devices(count: int | None) -> list[Any]:
    """The first `count` devices, or all.

    Raises:
      InputError: where there are fewer.
    """
    found = jax.devices()
    if count is not None and count > len(found):
        kind = found[0].platform
        remedy = (
            f"; on a CPU set XLA_FLAGS=--xla_force_host_platform_device_count={count} first"
            if kind == "cpu"
            else ""
        )
        raise InputError(f"{count} devices are asked for, there are {len(found)} ({kind}){remedy}")
    return found[:count]


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Arrays that every run reads, a copy on each device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def init_replicated(init: Callable[[jax.Array], Any], seed: int, mesh: Mesh) -> Any:
    """The first state of a run, a copy on each device of the mesh, of other processes too."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jit_once(lambda s: init(jax.random.key(s)), out_shardings=everywhere)(np.uint32(seed))
