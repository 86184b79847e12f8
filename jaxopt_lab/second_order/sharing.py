"""Work on many small matrices, each done on one device of a mesh and then shared by all."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def shared(
    function: Callable[..., jax.Array],
    mesh: Mesh | None,
    stacks: Sequence[tuple[jax.Array, ...]],
) -> list[jax.Array]:
    """`function(*stack)` of every stack, of which each device computes its part.

    Left to the compiler, every device of a mesh would invert every factor. Here those of one size
    are put together, whatever layer they are of, and dealt out. As many go at once as there are
    devices: a CPU would divide two of a device over threads that wait for each other.

    Args:
      function: of arrays with a leading axis, (k, ...), to one, (k, ...), each entry by itself.
      mesh: the devices, all of them; None for one.
      stacks: what the function takes, each of as many arrays.

    Returns:
      What the function gives of each stack, on every device.
    """
    if mesh is None or mesh.size == 1:
        return [function(*stack) for stack in stacks]
    kinds: dict[tuple, list[int]] = {}
    for i, stack in enumerate(stacks):
        kinds.setdefault(tuple((x.shape[1:], x.dtype) for x in stack), []).append(i)
    found: dict[int, jax.Array] = {}
    for places in kinds.values():
        ends = np.cumsum([len(stacks[i][0]) for i in places])
        together = [jnp.concatenate(xs) for xs in zip(*(stacks[i] for i in places), strict=True)]
        parts = jnp.split(_dealt(function, mesh, together), ends[:-1])
        found |= dict(zip(places, parts, strict=True))
    return [found[i] for i in range(len(stacks))]


def shared_tree(function: Callable[..., jax.Array], mesh: Mesh | None, *trees: Any) -> Any:
    """`shared` over the leaves of trees of one structure, each leaf a stack."""
    leaves, structure = zip(*(jax.tree.flatten(tree) for tree in trees), strict=True)
    return structure[0].unflatten(shared(function, mesh, list(zip(*leaves, strict=True))))


def _dealt(function: Callable[..., jax.Array], mesh: Mesh, stack: Sequence[jax.Array]) -> jax.Array:
    by_device = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    everywhere = NamedSharding(mesh, PartitionSpec())
    done = []
    for start in range(0, len(stack[0]), mesh.size):
        part = [x[start : start + mesh.size] for x in stack]
        missing = mesh.size - len(part[0])
        part = [jnp.concatenate([x, jnp.repeat(x[:1], missing, 0)]) for x in part]
        found = function(*jax.lax.with_sharding_constraint(part, by_device))
        found = jax.lax.with_sharding_constraint(found, by_device)
        done.append(jax.lax.with_sharding_constraint(found, everywhere))
    return jnp.concatenate(done)[: len(stack[0])]
