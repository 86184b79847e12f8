"""The batches of a split that stays on the host, or in files, as steps take them."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxopt_lab.core.ahead import Ahead
from jaxopt_lab.core.rows import is_lazy, read_ahead
from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.batches import Batches
from jaxopt_lab.engine.data_parallel import deal_rows, own_places
from jaxopt_lab.engine.objective import MASK

# What is given to the readers at once, after which they begin anew: rows, 64 MiB of numbers, and
# epochs, whose orders take a second or two to draw.
_MOST_ROWS, _MOST_EPOCHS = 1 << 24, 1 << 12

Order = Callable[[int], np.ndarray]


class FromHost:
    """Gives the batch of a step; what lies in files is read ahead, in the order of the steps.

    A step's rows follow from its number alone, so it may begin and go on anywhere.
    """

    def __init__(
        self,
        data: dict[str, Any],
        batches: Batches,
        *,
        mesh: Mesh | None = None,
        total: int | None = None,
    ):
        """Point at a split.

        Args:
          data: arrays in memory or lazy.
          batches: how they are drawn.
          mesh: of the devices that share a batch; None for one device.
          total: steps of the run, past which nothing is read; None for a time without an end.
        """
        self.data = data
        self._batches, self._mesh, self._total = batches, mesh, total
        self._examples = len(data["y"])
        size = batches.size
        self._own = np.arange(size) if mesh is None else own_places(size, mesh)
        self._ahead: dict[str, Ahead] = {}
        self._next = self._end = 0  # the step of the next batch read ahead; that after the last
        self._last: tuple[int, Batch] | None = None
        self.waited: float = 0.0

    def of_zeros(self) -> Batch:
        """A batch for its shapes, and for where it is."""
        shapes = self._batches.shapes(self.data)
        return self._dealt({k: np.zeros(v.shape, v.dtype)[self._own] for k, v in shapes.items()})

    def batch(self, k: int, order: Order, busy: Any) -> Batch:
        """The batch of step `k`.

        Args:
          k: the step, from 0.
          order: gives the order of an epoch, (N,).
          busy: arrays that the device works at; to wait for data is to wait when they are there.

        Raises:
          InputError: where it cannot be read.
        """
        if self._last and self._last[0] == k:  # measured, and then trained on
            return self._last[1]
        self._last = None
        lazy = [name for name, values in self.data.items() if is_lazy(values)]
        if lazy and (k != self._next or k >= self._end):
            self._begin(lazy, k, order)
        rows, mask = self._rows(k, order)
        found = {n: np.asarray(v[rows]) for n, v in self.data.items() if n not in lazy}
        found |= {name: self._taken(self._ahead[name], busy) for name in lazy}
        found = {name: found[name] for name in self.data}
        if mask is not None:
            found[MASK] = mask
        self._next = k + 1
        self._last = k, self._dealt(found)
        return self._last[1]

    def close(self) -> None:
        """Stop reading."""
        for ahead in self._ahead.values():
            ahead.close()
        self._ahead, self._last, self._end = {}, None, 0

    def _begin(self, lazy: list[str], k: int, order: Order) -> None:
        self.close()
        epoch = self._batches.steps(self._examples)
        most = max(1, min(_MOST_ROWS // self._batches.size, _MOST_EPOCHS * epoch))
        self._end = min(k + most, k + epoch if self._total is None else max(k + 1, self._total))
        kind = np.int32 if self._examples <= np.iinfo(np.int32).max else np.int64
        steps = range(k, self._end)
        table = np.stack([self._rows(i, order)[0].astype(kind) for i in steps])
        for name in lazy:
            self._ahead[name] = read_ahead(self.data[name], table)

    def _rows(self, k: int, order: Order) -> tuple[np.ndarray, np.ndarray | None]:
        places, mask = self._batches.places(self._examples, k)
        rows = order(k // self._batches.steps(self._examples))[places[self._own]]
        return rows, None if mask is None else mask[self._own]

    def _taken(self, ahead: Ahead, busy: Any) -> np.ndarray:
        if not ahead.ready():
            jax.block_until_ready(busy)
            begin = time.perf_counter()
            found = next(ahead)
            self.waited += time.perf_counter() - begin
            return found
        return next(ahead)

    def _dealt(self, batch: dict[str, Any]) -> Batch:
        if self._mesh is None:
            return batch
        return deal_rows(batch, self._own, self._batches.size, self._mesh)
