"""Work on many small matrices, each done on one device of a mesh and then shared by all."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec


def shared(
    function: Callable[..., jax.Array],
    mesh: Mesh | None,
    stacks: Sequence[tuple[jax.Array, ...]],
) -> list[jax.Array]:
    """`function(*stack)` of every stack, of which each device computes its part.

    Left to the compiler, every device of a mesh would invert every factor. Here each has an equal
    part of a stack that is long enough; what is left over goes matrix by matrix to the device that
    has had the least to do.

    Args:
      function: of arrays with a leading axis, (k, ...), to one of the first's shape, each entry by
        itself.
      mesh: the devices, all of them; None for one.
      stacks: what the function takes, each of as many arrays.

    Returns:
      What the function gives of each stack, on every device.
    """
    if mesh is None or mesh.size == 1:
        return [function(*stack) for stack in stacks]
    everywhere, axes = PartitionSpec(), mesh.axis_names

    def work(stacks):
        here, load = lax.axis_index(axes), [0] * mesh.size
        even, single = [], []
        for stack in stacks:
            each, over = divmod(len(stack[0]), mesh.size)
            mine = [lax.dynamic_slice_in_dim(x, here * each, each) for x in stack]
            even.append(lax.all_gather(function(*mine), axes, tiled=True) if each else None)
            for i in range(len(stack[0]) - over, len(stack[0])):
                one = [x[i : i + 1] for x in stack]
                device = load.index(min(load))
                load[device] += one[0].shape[-1] ** 3
                single.append(
                    lax.cond(here == device, function, lambda *one: jnp.zeros_like(one[0]), *one)
                )
        shares = iter(lax.psum(single, axes))  # of all but one device zeros
        found = []
        for stack, part in zip(stacks, even, strict=True):
            parts = [] if part is None else [part]
            parts += [next(shares) for _ in range(len(stack[0]) % mesh.size)]
            found.append(jnp.concatenate(parts))
        return found

    return jax.shard_map(
        work, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False
    )(list(stacks))


def shared_tree(function: Callable[..., jax.Array], mesh: Mesh | None, *trees: Any) -> Any:
    """`shared` over the leaves of trees of one structure, each leaf a stack."""
    leaves, structure = zip(*(jax.tree.flatten(tree) for tree in trees), strict=True)
    return structure[0].unflatten(shared(function, mesh, list(zip(*leaves, strict=True))))
