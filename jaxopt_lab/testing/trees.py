"""Parameters of every form that a user's may have."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Pair(NamedTuple):
    """Parameters that have names and an order."""

    kernel: Any
    bias: Any


@jax.tree_util.register_pytree_node_class
class Layer:
    """Parameters in an object of a class that a user registered."""

    def __init__(self, kernel: Any, bias: Any):
        self.kernel, self.bias = kernel, bias

    def tree_flatten(self) -> Any:
        """Its arrays, and nothing else."""
        return (self.kernel, self.bias), None

    @classmethod
    def tree_unflatten(cls, _: Any, children: Any) -> Any:
        """From whatever JAX puts in the places of its arrays."""
        return cls(*children)


def usual_params(dtype: Any = jnp.float32) -> dict[str, Any]:
    """A matrix, and two vectors: what nothing should be wrong with."""
    return {
        "dense": {"bias": jnp.ones(3, dtype), "kernel": _spread((2, 3), dtype)},
        "scale": jnp.array([0.5, -0.25], dtype),
    }


def odd_params(kind: str) -> dict[str, Any]:
    """The usual ones beside `scalars`, `zero_size`, `ranks` or `none_leaves`."""
    odd = {
        "scalars": lambda: {"odd": jnp.array(0.5)},
        "zero_size": lambda: {"odd": jnp.zeros((0, 4))},
        "ranks": lambda: {"odd": _spread((2, 2, 3)), "odder": _spread((3, 3, 2, 2))},
        "none_leaves": lambda: {"odd": None, "odder": {"odd": jnp.ones(2), "none": None}},
    }
    return usual_params() | odd[kind]()


def containers() -> dict[str, Any]:
    """One matrix and one vector in containers of every kind, by the kind's name."""
    kernel, bias = _spread((2, 3)), jnp.ones(3)
    return {
        "dict": {"0": kernel, "1": bias},
        "tuple": (kernel, bias),
        "list": [kernel, bias],
        "NamedTuple": Pair(kernel, bias),
        "registered class": Layer(kernel, bias),
        "nested": {"layers": [Layer(kernel, bias)]},
    }


def _spread(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    return jnp.linspace(-1, 1, math.prod(shape), dtype=dtype).reshape(shape)
