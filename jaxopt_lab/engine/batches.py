"""The order in which a run sees its data.

Batches are a function of (key, step) alone: epoch e shuffles with its own key, and step k takes the
k-th slice of that order. So the data's place in a run is one integer, and a chunk of steps may
begin and end anywhere.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.objective import MASK
from jaxopt_lab.engine.permutation import permutation


class Batches(NamedTuple):
    """How the batches of a split are drawn.

    Attributes:
      size: rows a batch; where it is the size of the split, the split in its own order.
      bootstrap: whether the run trains on its own resample of the split.
      pad: whether what is left of an epoch after its last full batch is a batch too, filled up with
        rows that its `mask` leaves out; without it these samples wait for the next epoch.
    """

    size: int
    bootstrap: bool = False
    pad: bool = False

    def steps(self, examples: int) -> int:
        """The batches of an epoch."""
        return -(-examples // self.size) if self.pad else examples // self.size

    def pads(self, examples: int) -> bool:
        """Whether batches have a `mask`."""
        return self.pad and examples % self.size != 0

    def shapes(self, data: dict[str, Any]) -> dict[str, Any]:
        """What a batch of a split is, as `jax.ShapeDtypeStruct`s."""
        found = {
            k: jax.ShapeDtypeStruct((self.size, *v.shape[1:]), v.dtype) for k, v in data.items()
        }
        if self.pads(len(data["y"])):
            found[MASK] = jax.ShapeDtypeStruct((self.size,), jnp.float32)
        return found

    def order(self, key: jax.Array, epoch: jax.Array, examples: int) -> jax.Array | None:
        """The order of the training split in an epoch, (examples,) int32.

        A permutation; where a batch is the whole split None, for the split as it is. With
        `bootstrap` it is of the run's resample, which is drawn with replacement and the same in
        every epoch.
        """
        full = self.size == examples
        order = None if full else permutation(stream_key(key, Stream.ORDER, epoch), examples)
        if not self.bootstrap:
            return order
        resample = jax.random.randint(stream_key(key, Stream.BOOTSTRAP), (examples,), 0, examples)
        return resample if order is None else resample[order]

    def take(self, data: Batch, order: jax.Array | None, step: jax.Array) -> Batch:
        """The rows of `data` that a step of this epoch's order sees."""
        if order is None:
            return data
        examples = len(order)
        first = (step % self.steps(examples)) * self.size
        if not self.pads(examples):
            rows = jax.lax.dynamic_slice_in_dim(order, first, self.size)
            return _rows(data, rows)
        places = first + jnp.arange(self.size)
        batch = _rows(data, order[places % examples])
        return batch | {MASK: (places < examples).astype(jnp.float32)}

    def places(self, examples: int, step: int) -> tuple[np.ndarray, np.ndarray | None]:
        """On the host: the places of a step's rows in its epoch's order, and their mask if any."""
        places = (step % self.steps(examples)) * self.size + np.arange(self.size)
        if not self.pads(examples):
            return places, None
        return places % examples, (places < examples).astype(np.float32)


def _rows(data: Batch, rows: jax.Array) -> Batch:
    return {name: jnp.take(array, rows, axis=0, mode="clip") for name, array in data.items()}
