"""A mesh of devices, and what lies on all of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.errors import InputError

RUN, DATA, MODEL = "run", "data", "model"


def device_mesh(devices: Sequence[Any] | None = None, *, data: int = 1, model: int = 1) -> Mesh:
    """A mesh `("run", "data", "model")`.

    Args:
      devices: to use; None for all.
      data: how many devices share one run's batches.
      model: over how many more each of these shares its parameters; the others are other runs'.

    Returns:
      A mesh of `(len(devices) / (data model), data, model)`.

    Raises:
      InputError: where `data` times `model` does not divide the number of devices.
    """
    found = np.array(jax.devices() if devices is None else devices)
    each = data * model
    if each < 1 or len(found) % each:
        fits = [n for n in range(1, len(found) + 1) if len(found) % n == 0]
        nearest = min(fits, key=lambda n: abs(n - each))
        raise InputError(
            f"mesh: {each} devices a run (data = {data}, model = {model}) do not divide the "
            f"{len(found)} there are: {nearest} would"
        )
    shape, names = (-1, data, model), (RUN, DATA, MODEL)
    return Mesh(found.reshape(shape), names, axis_types=(AxisType.Auto,) * 3)


class OwnMemory(NamedTuple):
    """Bytes of a device's own memory, and how many of them are free."""

    size: int
    free: int


def own_memory(device: Any) -> OwnMemory | None:
    """The memory that a device has for itself; None of a CPU, which shares the machine's."""
    stats = device.memory_stats()
    if not stats or "bytes_limit" not in stats:
        return None
    return OwnMemory(stats["bytes_limit"], stats["bytes_limit"] - stats.get("bytes_in_use", 0))


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


def whole_beside(tree: Any) -> NamedSharding | None:
    """Where what is computed of a tree of arrays is whole in each process that shares these.

    None where one process has them all: wherever it comes to lie.
    """
    for leaf in jax.tree.leaves(tree):
        place = getattr(leaf, "sharding", None)
        if isinstance(place, NamedSharding) and not place.is_fully_addressable:
            return NamedSharding(place.mesh, PartitionSpec())
    return None
