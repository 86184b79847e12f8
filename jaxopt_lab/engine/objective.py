"""What a step minimizes, and what it measures beside."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import widen
from jaxopt_lab.core.types import Batch, Loss, Measure, Params

MASK = "mask"
"""Of a batch: 1 for a sample that counts, 0 for padding; without it all count."""

WEIGHT = "weight"
"""Of a batch: how much each sample counts in the loss and in metrics; without it all alike."""


class Objective(NamedTuple):
    """The mean loss of a batch and what is added to it.

    The mean is over the samples that count, and never over the sum of a batch's own weights: these
    have mean 1 over the training split, so that a batch of heavy samples weighs more, and the mean
    over batches of any size is that over the split.

    Attributes:
      loss: `(outputs, labels) -> (B,)`.
      weigh: `labels -> (B,)`, what the loss of each is multiplied by beside the batch's `weight`,
        as of classes; None for 1.
      consistency: `(views, B, K) outputs -> (B,)`, whose mean is added to the loss; None for a
        batch without views.
      penalty: `params -> scalar`, added too.
      measures: `{name: (outputs, labels) -> (B,)}`, means of which are returned beside the loss.
    """

    loss: Loss
    weigh: Callable[[jax.Array], jax.Array] | None = None
    consistency: Callable[[jax.Array], jax.Array] | None = None
    penalty: Callable[[Params], jax.Array] | None = None
    measures: Mapping[str, Measure] = {}

    def each(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """The loss of each sample times its weight, (B,)."""
        losses, weight = widen(self.loss(outputs, batch["y"])), self.weights(batch)
        return losses if weight is None else losses * weight.astype(losses.dtype)

    def weights(self, batch: Batch) -> jax.Array | None:
        """What the loss of each sample is multiplied by, (B,); None for 1."""
        weight = batch.get(WEIGHT)
        if self.weigh is None:
            return weight
        of_labels = self.weigh(batch["y"])
        return of_labels if weight is None else of_labels * weight

    def terms(
        self, outputs: jax.Array, batch: Batch, count: jax.Array | None = None
    ) -> dict[str, jax.Array]:
        """What the data adds to what is minimized, scalars by name, float32 or wider.

        Args:
          outputs: (B, ...), or (V B, ...) of V views, all of the first view and then all of the
            next; the loss is of the first.
          batch: with `y` (B, ...), and perhaps `weight` and `mask`.
          count: of the samples that count, where this is a part of a batch: terms of parts add up.
        """
        first = self.first(outputs, batch["y"])
        found = {"loss": self.each(first, batch)}
        if self.consistency is not None:
            found["consistency"] = widen(self.consistency(outputs.reshape(-1, *first.shape)))
        if count is None and MASK not in batch:
            return {name: values.mean() for name, values in found.items()}
        mask = batch.get(MASK, jnp.ones(len(first)))
        total = mask.sum() if count is None else count
        return {k: jnp.where(mask > 0, v, 0).sum() / total for k, v in found.items()}

    def sums(self, outputs: jax.Array, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Of the loss and each measure the weighted sum over a batch, and the sum of the weights.

        Of batches of a split these add up, and their quotients are the means over it.
        """
        weight, own = counted(batch), self.weights(batch)
        assert weight is not None, "a batch of a split has a mask"
        of_loss = batch[MASK] if own is None else batch[MASK] * own
        losses = self.loss(outputs, batch["y"])
        values = self.values(outputs, batch)
        return {"loss": (sum_counted(losses, of_loss), of_loss.sum())} | {
            name: (sum_counted(v, weight), weight.sum()) for name, v in values.items()
        }

    def measured(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """The means of the measures over the batch, of the first view."""
        weight = counted(batch)
        values = self.values(outputs, batch)
        if weight is None:
            return {name: v.mean() for name, v in values.items()}
        total = weight.sum()
        return {name: sum_counted(v, weight) / total for name, v in values.items()}

    def values(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """The measures of each sample, (B,) each, of the first view."""
        first = self.first(outputs, batch["y"])
        return {name: measure(first, batch["y"]) for name, measure in self.measures.items()}

    @staticmethod
    def first(outputs: jax.Array, labels: jax.Array) -> jax.Array:
        """The outputs of the first view."""
        return outputs[: len(labels)]


def counted(batch: Batch) -> jax.Array | None:
    """How much each sample counts in a metric, (B,), 0 for padding; None where all count alike."""
    there = [batch[name] for name in (MASK, WEIGHT) if name in batch]
    return there[0] * there[-1] if len(there) == 2 else (there[0] if there else None)


def sum_counted(values: jax.Array, weight: jax.Array) -> jax.Array:
    """The weighted sum over samples; what does not count is left out, whatever it is."""
    return jnp.where(weight > 0, weight.astype(values.dtype) * values, 0).sum()
