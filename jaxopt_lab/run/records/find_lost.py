"""Where the first number of a run appeared that is not finite, told once the run has stopped."""

import contextlib
from typing import NamedTuple

import jax.numpy as jnp

from jaxopt_lab.diagnostics import first_use
from jaxopt_lab.engine import (
    NotFinite,
    OneRun,
    TrainState,
    checkpoint,
    find_not_finite,
    first_lost_step,
)
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.run_writer import RunWriter

# Of training that is done once more to find the step; a run with a folder saves as often.
AT_MOST_SECONDS = 60.0


class Lost(NamedTuple):
    """A run that has stopped at numbers that are not finite.

    Attributes:
      first: the first of them.
      in_a_row: the steps that were left out in a row, where the run has stopped because of these.
    """

    first: NotFinite
    in_a_row: int = 0

    @property
    def sentence(self) -> str:
        """What is known, "the output of Dense_1 is not finite at step 57" for one."""
        found = f"{self.first.what} is not finite at step {self.first.step:,}"
        if self.in_a_row <= 1:
            return found
        return f"{found}, the first of {self.in_a_row:,} such steps in a row"


def find_lost(
    program: OneRun,
    state: TrainState,
    folder: RunFolder | None,
    identity: str,
    near: int,
    writer: RunWriter,
) -> Lost | None:
    """Take the steps from the last good checkpoint again, and look into the one that was lost.

    Every process of a run calls this.

    Args:
      program: of the run.
      state: that the run has stopped at.
      folder: of the run; without a checkpoint in it the run is taken again from its beginning.
      identity: as of `RunWriter`.
      near: a step up to which the run most likely was good.
      writer: of the run, for its steps and its time.

    Returns:
      What was found; None where the look would take more than `AT_MOST_SECONDS`, or where its
      steps, taken again, are finite.
    """
    experiment = program.experiment
    in_a_row = int(experiment.gave_up(state.opt_state)) if experiment.gave_up else 0
    # Such a device has room for a step at a time, and perhaps not for its parts.
    with contextlib.suppress(RuntimeError, MemoryError):
        if in_a_row:  # none of them has left a trace
            before = state._replace(step=jnp.asarray(state.step - in_a_row + 1))
        else:
            end = writer.log.steps
            before = _before(program, state, folder, identity, near, end, writer)
        if before is not None:
            found = find_not_finite(experiment, before, first_use)
            return found and Lost(found, in_a_row)
    return None


def _before(
    program: OneRun,
    state: TrainState,
    folder: RunFolder | None,
    identity: str,
    near: int,
    end: int,
    writer: RunWriter,
) -> TrainState | None:
    """The state before the step that was lost."""
    saved = folder and checkpoint.whole_steps(folder.checkpoints)
    if folder and saved and saved[0] < end:
        found = checkpoint.restore(folder.checkpoints, state, config_hash=identity, step=saved[0])
        assert found is not None
        start, good = found
    elif distributed.first_says(writer.timings.total("seconds") <= AT_MOST_SECONDS):
        start, good = 0, program.first_state()
    else:
        return None
    return first_lost_step(program, good, start, end, min(max(near, start), end))
