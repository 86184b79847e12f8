"""Reading what a folder holds of a trained run, be it one of its own or one of a sweep."""

import os
import pathlib

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Model
from jaxopt_lab.run.records.folder import SWEEP
from jaxopt_lab.run.records.member import load_member
from jaxopt_lab.run.records.run import Run, read_run


def load_run(
    path: str | os.PathLike[str],
    *,
    model: Model | None = None,
    step: int | None = None,
    member: int | None = None,
) -> Run:
    """Read a trained run; the data set that it was trained on need not be there.

    Args:
      path: the folder of a run, or of a sweep.
      model: the model that it was trained with, where that was given to `train`.
      step: of the checkpoint to read; None for what the run kept at its end, or where it has none
        for its newest checkpoint.
      member: of a sweep, which of its runs, from 0 as in `sweep.csv`; None for the best run of its
        best setting.

    Returns:
      A `Run`.

    Raises:
      InputError: where the folder holds no run with a checkpoint, none of that step or member, or
        one of another version.
    """
    path = pathlib.Path(path)
    if (path / SWEEP).exists():
        if step is not None:
            raise InputError(f"{path} is a sweep, which keeps no step {step}: leave it out")
        return load_member(path, member, model)
    if member is not None:
        raise InputError(f"{path} is a run and no sweep: leave out member {member}")
    return read_run(path, model=model, step=step)
