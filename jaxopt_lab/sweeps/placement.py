"""Runs on devices: what lies where, and how many runs fit."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.memory import free_memory
from jaxopt_lab.core.tree import size_bytes
from jaxopt_lab.engine import jit_once
from jaxopt_lab.engine.devices import RUN, own_memory
from jaxopt_lab.engine.fusions import DEFAULT, options_of
from jaxopt_lab.sweeps.blocks import in_blocks

# Of a device's memory, the share that a sweep may plan to fill: estimates are rough.
SHARE = 0.6


def spread(tree: Any, mesh: Mesh) -> Any:
    """Arrays with a leading axis of runs, padded with copies of the first and dealt to devices."""
    devices = mesh.shape[RUN]

    def padded(x):
        rest = -len(x) % devices
        filler = jnp.broadcast_to(x[:1], (rest, *x.shape[1:])) if rest else None
        return x if filler is None else jnp.concatenate([jnp.asarray(x), filler])

    return jax.device_put(jax.tree.map(padded, tree), NamedSharding(mesh, PartitionSpec(RUN)))


def over_runs(
    function: Callable[..., Any],
    mesh: Mesh,
    at_once: int | None = None,
    *,
    donate: bool = False,
    once: bool = False,
    places: Any = None,
    fusions: str = DEFAULT,
) -> Callable[..., Any]:
    """`function(own, *shared)` of one run as a jitted `(stacked, *shared)` of many.

    No run sees another, and no device waits for another run's. Where a run has several devices, by
    the mesh's axes "data" and "model", these share it as its own constraints say.

    Args:
      function: pure; `own` is what belongs to the run, `shared` is the same for all.
      mesh: from `engine.device_mesh`; `stacked` comes from `spread`, `shared` from
        `engine.replicated`.
      at_once: how many runs of a device are vectorized, block after block, from `runs_at_once`;
        None for all of them.
      donate: whether `function` gives `(own, ...)`, of which the new `own` takes the memory of the
        old one.
      once: whether it is called once, so that what its compilation takes counts.
      places: the `PartitionSpec`s of the results of one run, a tree that begins as they do, where
        runs have several devices; None for copies on all of a run's.
      fusions: of `engine.fusions`, to compile with what is not called once.

    Returns:
      The function; results have the leading axis of runs.
    """
    jit = jit_once if once else partial(jax.jit, compiler_options=options_of(fusions))
    donated = (0,) if donate else ()
    by_run = PartitionSpec(RUN)
    if mesh.shape[RUN] < mesh.size:

        def vectorized(stacked, *shared):
            axes = (0, *(None for _ in shared))
            return jax.vmap(function, axes, spmd_axis_name=RUN)(stacked, *shared)

        out = _of_runs(PartitionSpec() if places is None else places, mesh)
        return jit(vectorized, out_shardings=out, donate_argnums=donated)

    def local(stacked, *shared):
        return in_blocks(lambda own: function(own, *shared), stacked, at_once, in_place=donate)

    def many(stacked, *shared):
        # Each device has its own program. Left to `jit`, a decision that the runs of a vmap take
        # together, such as whether any of them renews its factors, would wait for other devices.
        specs = (by_run, *(PartitionSpec() for _ in shared))
        dealt = partial(jax.shard_map, mesh=mesh, in_specs=specs, out_specs=by_run)
        return dealt(local, check_vma=False)(stacked, *shared)

    return jit(many, out_shardings=NamedSharding(mesh, by_run), donate_argnums=donated)


def _of_runs(specs: Any, mesh: Mesh) -> Any:
    """Shardings of what has a leading axis of runs, from the specs of one run's."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, PartitionSpec(RUN, *spec)), specs)


def free_bytes(device: Any) -> int:
    """What a sweep may plan to use of a device's memory; CPU devices share the host's."""
    if (own := own_memory(device)) is not None:
        return int(SHARE * own.free)
    return int(SHARE * free_memory() / len(jax.local_devices()))


def run_bytes(state: Any, batch: Any) -> int:
    """A rough bound on what one run takes: its state before and after a step, gradients and
    updates, and activations of a batch."""
    return 4 * size_bytes(state) + 32 * size_bytes(batch)


def wave_size(runs: int, bytes_each: int, mesh: Mesh) -> int:
    """How many of the runs go at once: all, or the largest equal waves that fit.

    One on each device where not even one seems to fit: the bound is rough.
    """
    free = min(free_bytes(device) for device in mesh.devices.flat)
    at_once = max(1, free // max(bytes_each, 1)) * mesh.shape[RUN]
    waves = -(-runs // at_once)
    return -(-runs // waves)
