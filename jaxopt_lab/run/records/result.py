"""What a run leaves."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.run.records.run import Run
from jaxopt_lab.run.records.run_fragment import run_fragment, run_words


class Result(NamedTuple):
    """What `train` returns.

    Attributes:
      params: the trained parameters: the best where early stopping kept them, else the average
        where there is one, else the last; `summary["kept"]` says which.
      model_state: the model's other collections, such as batch statistics.
      history: NumPy columns `step`, `loss`, `accuracy`, `learning_rate`, and `eval_step`,
        `val_loss`, `val_accuracy` where there is a validation split.
      test: `{"loss": ..., "accuracy": ...}` on the test split; empty where interrupted, or diverged
        without a best to keep.
      run_dir: the run folder, or None.
      stopped_by: "finished", "early_stopping", "interrupted" or "diverged", where parameters or
        losses are not finite, or the losses end at ten times the first.
      summary: what `summary.json` holds.
      run: the trained run, as `load_run` gives it, with or without a folder: `run.predict(x)` takes
        raw inputs, and so normalizes them as training did.
    """

    params: Params
    model_state: ModelState
    history: Mapping[str, np.ndarray]
    test: dict[str, float]
    run_dir: pathlib.Path | None
    stopped_by: str
    summary: dict[str, Any]
    run: Run

    def __repr__(self) -> str:
        return run_words(self.run, "Result")

    def _repr_html_(self) -> str:
        return run_fragment(self.run, "Result")
