"""The scores of samples that come batch by batch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.engine import Experiment
from jaxopt_lab.engine.objective import MASK
from jaxopt_lab.run.records.truth import Truth


class Tally:
    """Adds up a run's own loss and metrics over the samples whose targets are known.

    What is no mean over samples, such as the area under a curve, needs all outputs: these are held
    where the run measures any.

    Attributes:
      count: samples whose targets are known.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self.count: int = 0
        self._sums: dict[str, np.ndarray] = {}
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._of_batch = jax.jit(experiment.objective.sums)

    def add(self, outputs: np.ndarray, truth: Truth) -> None:
        """Add samples, of which some may have no target."""
        if not truth.known.any():
            return
        self.count += int(truth.known.sum())
        batch = {"y": jnp.asarray(truth.y), MASK: jnp.asarray(truth.known, jnp.float32)}
        found = self._of_batch(jnp.asarray(outputs), batch)
        for name, pair in found.items():
            self._sums[name] = self._sums.get(name, np.zeros(2)) + np.asarray(pair, np.float64)
        if self._experiment.whole:
            self._held.append((outputs[truth.known], truth.y[truth.known]))

    def scores(self) -> dict[str, Any]:
        """The loss and the metrics by name; {} where no target was known."""
        found: dict[str, Any] = {name: value / by for name, (value, by) in self._sums.items()}
        if self._held:
            outputs, y = (np.concatenate(parts) for parts in zip(*self._held, strict=True))
            weight = jnp.ones(len(y))
            for name, metric in self._experiment.whole.items():
                found[name] = np.asarray(metric(jnp.asarray(outputs), jnp.asarray(y), weight))
        return self._experiment.in_order(
            {name: value.tolist() for name, value in found.items() if not np.ndim(value)}
        )
