"""Raw samples to what a network says of them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import is_lazy
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.data.columns import is_columns, table_of
from jaxopt_lab.data.encoding import encode
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.records.prediction import Prediction, prediction_of


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Predictor:
    """A network and all that goes around it: raw samples in, outputs and predictions out.

    Attributes:
      config: what it was trained by.
      signature: shapes, classes and normalization of its data.
      params, model_state: what it kept.
      kept: which parameters these are: "best", "average", "last" or "ensemble".
      why: how they were chosen, in words.
      experiment: the objects that its configuration means, such as its loss; no data.
    """

    config: Config
    signature: Signature
    params: Params
    model_state: ModelState
    kept: str
    why: str
    experiment: Experiment

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty where the targets are numbers."""
        return self.signature.classes

    @property
    def evaluate(self) -> Callable[[Params, ModelState, jax.Array], jax.Array]:
        """`(params, model_state, x) -> outputs`, pure, of raw x (B, ...) in evaluation mode."""
        return self.experiment.forward.evaluate

    def apply(self, x: Any) -> jax.Array:
        """The outputs for raw inputs, as the data set has them: the run's own normalization is
        applied, and of a table its encoding of columns.

        Beyond `[train] evaluation_batch_size` rows it goes batch by batch, as the run's own test
        does, and to the same bits on the same platform.

        Args:
          x: (B, ...), samples of the shape that the run was trained on; where that was on bytes,
            whole numbers in [0, 255] or floats in [0, 1]. Of a run on a table also its columns by
            name: a mapping, rows as mappings, a `pyarrow.Table` or a frame; others are left out.

        Returns:
          (B, ...), the model's outputs in evaluation mode, such as logits.

        Raises:
          InputError: where a sample has another shape, or is out of its range; where a column is
            not there, or holds what training has not seen.
        """
        parts = [self._apply(x, rows) for x, rows in self._batches(self.encoded(x))]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts)

    def predict(self, x: Any) -> Prediction:
        """What the network says of raw inputs: classes and probabilities, or numbers.

        Args:
          x: as of `apply`.

        Returns:
          A `Prediction`.

        Raises:
          InputError: as `apply`.
        """
        batches = self._batches(self.encoded(x))
        outputs = np.concatenate([np.asarray(self._apply(x, rows)) for x, rows in batches])
        return self.prediction(outputs)

    def prediction(self, outputs: np.ndarray) -> Prediction:
        """What outputs (B, K) of `apply` say."""
        return prediction_of(outputs, self.signature, self.experiment.objective.loss)

    def encoded(self, x: Any, where: str = "apply") -> Any:
        """Raw inputs as arrays (B, ...): columns by name become what training made of them.

        Raises:
          InputError: naming the column and the row of what is wrong.
        """
        if is_columns(x):
            columns = self.signature.columns
            if not columns:
                raise InputError(
                    f"{where}: the run was trained on arrays, whose columns have no names: give x "
                    f"of shape {self._shape}"
                )
            table, source = table_of(columns, x, where)
            return encode(columns, table, source, missing=self.signature.fill is not None)
        if isinstance(x, list | tuple | int | float):
            return np.asarray(x)
        return x

    @property
    def _shape(self) -> str:
        return f"({', '.join(map(str, ('B', *self.signature.x_shape)))})"

    def _batches(self, x: Any) -> Iterator[tuple[Any, int]]:
        """Batches of one size, the last filled up with its last row, and how many rows count."""
        count, size = len(x) if np.ndim(x) else 0, self.experiment.evaluation_batch_size
        if count <= size:
            yield x[:] if is_lazy(x) else x, count
            return
        for at in range(0, count, size):
            rows = np.minimum(np.arange(at, at + size), count - 1)
            whole = at + size <= count
            yield x[at : at + size] if whole else x[rows], min(size, count - at)

    def _apply(self, x: Any, rows: int) -> jax.Array:
        outputs = self._compiled(self.params, self.model_state, self.signature.inputs(x))
        return outputs if len(outputs) == rows else outputs[:rows]

    @functools.cached_property
    def _compiled(self):
        return jax.jit(self.evaluate)
