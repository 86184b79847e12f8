"""Arrays on the disk by Orbax, which the processes of one run write and read together."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp


def write(folder: pathlib.Path, arrays: Sequence[jax.Array]) -> None:
    """Write arrays as a new folder, each process what it has; all of them call this, and wait.

    Args:
      folder: absolute, on a file system that all processes see; replaced where it is there.
      arrays: on the devices of all processes, or the same in each. Those without elements, which
        Orbax does not take, are left out.
    """
    # What each process has of its own, Orbax takes as NumPy arrays only.
    shared = [np.asarray(x) if x.is_fully_addressable else x for x in arrays]
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, _with_elements(shared), force=True)


def read(folder: pathlib.Path, like: Sequence[Any]) -> list[jax.Array]:
    """Read the arrays that `write` wrote.

    Args:
      folder: absolute.
      like: arrays or `jax.ShapeDtypeStruct`s of their shapes and dtypes, and where they are to be;
        the default device where those do not say it.

    Returns:
      The arrays.
    """
    default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def described(x):
        sharding = getattr(x, "sharding", None) or default
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    with ocp.StandardCheckpointer() as checkpointer:
        found = checkpointer.restore(folder, jax.tree.map(described, _with_elements(like)))
    return [
        found[str(i)] if x.size else jax.numpy.zeros(x.shape, x.dtype) for i, x in enumerate(like)
    ]


def _with_elements(arrays: Sequence[Any]) -> dict[str, Any]:
    return {str(i): x for i, x in enumerate(arrays) if x.size}
