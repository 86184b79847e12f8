"""What a step minimizes, and what it measures beside."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from jaxopt_lab.core.tree import widen
from jaxopt_lab.core.types import Loss, Measure, Params


class Objective(NamedTuple):
    """The mean loss of a batch and what is added to it.

    Attributes:
      loss: `(outputs, labels) -> (B,)`.
      consistency: `(views, B, K) outputs -> (B,)`, whose mean is added to the loss; None for a
        batch without views.
      penalty: `params -> scalar`, added too.
      measures: `{name: (outputs, labels) -> (B,)}`, means of which are returned beside the loss.
    """

    loss: Loss
    consistency: Callable[[jax.Array], jax.Array] | None = None
    penalty: Callable[[Params], jax.Array] | None = None
    measures: Mapping[str, Measure] = {}

    def terms(self, params: Params, outputs: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
        """The terms whose sum is minimized, scalars by name, float32 or wider.

        Args:
          params: of the penalty.
          outputs: (B, ...), or (V B, ...) of V views, all of the first view and then all of the
            next; the loss is of the first.
          labels: (B, ...).
        """
        first = self.first(outputs, labels)
        terms = {"loss": widen(self.loss(first, labels).mean())}
        if self.consistency is not None:
            views = outputs.reshape(-1, *first.shape)
            terms["consistency"] = widen(self.consistency(views).mean())
        if self.penalty is not None:
            terms["penalty"] = self.penalty(params)
        return terms

    def measured(self, outputs: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
        """The means of the measures over the batch, of the first view."""
        first = self.first(outputs, labels)
        return {name: measure(first, labels).mean() for name, measure in self.measures.items()}

    @staticmethod
    def first(outputs: jax.Array, labels: jax.Array) -> jax.Array:
        """The outputs of the first view."""
        return outputs[: len(labels)]
