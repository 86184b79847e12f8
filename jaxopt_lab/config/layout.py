"""`[mesh]` as the devices that there are, and what lies where."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from jaxopt_lab.config.sections import MeshConfig
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Layout, Rule, device_mesh, some_devices
from jaxopt_lab.engine.devices import DATA, MODEL


def build_layout(mesh: MeshConfig, devices: int | None = None) -> Layout | None:
    """The layout of a run on the devices that are here.

    Args:
      mesh: of the configuration.
      devices: how many to use; None for what the configuration says, and of a run of several
        processes for all.

    Returns:
      A `Layout`; None for one device.

    Raises:
      InputError: where the mesh does not fit the devices.
    """
    several = jax.process_count() > 1
    if mesh.devices == 1 and devices is None and not several:
        return None
    found = some_devices(devices)
    whole = several or devices is not None
    every = _dealt(mesh, found, len(found) if whole else mesh.devices)
    here = Mesh(every.devices[:1], every.axis_names, axis_types=every.axis_types)
    return layout_on(mesh, here)


def mesh_of_runs(
    meshes: Sequence[MeshConfig], devices: int | None = None
) -> tuple[Mesh, Layout | None]:
    """The devices of a sweep: its runs on one axis of a mesh, each run shared on the others.

    Args:
      meshes: `[mesh]` of each run.
      devices: how many to use; None for all.

    Returns:
      The mesh, and the layout of a run; None for one device a run.

    Raises:
      InputError: where the runs have not all the same mesh, or it does not fit the devices.
    """
    mesh = meshes[0]
    if any(other != mesh for other in meshes):
        raise InputError("[mesh] must be the same for all runs of a sweep: take it out of the axes")
    dealt = _dealt(mesh, some_devices(devices), mesh.devices)
    return dealt, None if mesh.devices == 1 else layout_on(mesh, dealt)


def _dealt(mesh: MeshConfig, found: Sequence[Any], each: int | None) -> Mesh:
    """The devices in parts of `each`, None for all, which share a run as `[mesh]` says."""
    some_devices(each)  # tells where there are fewer
    data = (each or len(found)) // mesh.model
    return device_mesh(found, data=max(1, data), model=mesh.model)


def layout_on(mesh: MeshConfig, devices: Mesh | Mapping[str, int]) -> Layout:
    """The layout of a configuration on a mesh, which may be one that is not here."""
    sizes = dict(devices.shape if isinstance(devices, Mesh) else devices)
    over = (DATA, MODEL) if mesh.shard == "full" else (MODEL,)
    split = tuple(name for name in over if sizes[name] > 1)
    meaning = {"all": (DATA, MODEL), "none": (), DATA: (DATA,), MODEL: (MODEL,)}
    rules = [Rule(rule.match, tuple(meaning[axis] for axis in rule.axes)) for rule in mesh.rule]
    return Layout(devices, split, tuple(rules))
