"""What a run writes as it goes: its log, its timings, its checkpoints."""

import functools
import time
from collections.abc import Callable

import jax

from jaxopt_lab.config.schema import Config
from jaxopt_lab.engine import Chunk, Finish, TrainState, checkpoint, make_is_good
from jaxopt_lab.engine.devices import whole_beside
from jaxopt_lab.engine.fusions import DEFAULT
from jaxopt_lab.engine.saver import Saver
from jaxopt_lab.engine.state_hash import in_hex, state_hash
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.records.metrics_log import MetricsLog
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.same_fusions import XLA
from jaxopt_lab.run.records.timings import Timings
from jaxopt_lab.run.records.vouched_log import LOG


class RunWriter:
    """The files of one run under way; all of it stays in memory where the run has no folder.

    In a run of several processes each of them saves checkpoints, and process 0 writes all else.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        config: Config,
        identity: str,
        state: TrainState,
        *,
        start: int = 0,
        xla: str = DEFAULT,
    ):
        """Open the files of a run that stands at step `start`.

        Args:
          folder: of the run, or None.
          config: for how often to log.
          identity: the hash that a checkpoint must have to belong to this run.
          state: of that step.
          start: what is past it is dropped, as these steps are taken again.
          xla: what the steps are compiled with, of `engine.fusions`.
        """
        self.xla = xla
        written = folder if distributed.is_first() else None
        self._checkpoints = folder and folder.checkpoints
        self._kept, self._ensemble = folder and folder.kept, folder and folder.ensemble
        self._identity = identity
        there = self._checkpoints and checkpoint.holds(self._checkpoints, start)
        self._saved = start if there else None
        self._seconds, self._saved_at = config.train.checkpoint_seconds, time.monotonic()
        self._keep = None if config.train.keep == "all" else config.train.keep
        self._is_good = make_is_good(state)
        own = (config.log.curvature, config.log.layers)
        every = (config.train.log_every, *(each for each in own if each))
        self._saver = Saver()
        self._hash: Callable[[TrainState], jax.Array] | None = None
        if written:
            written.forget_after(start)
        self.log: MetricsLog = MetricsLog(written and written.metrics, every=every, until=start)
        self.timings: Timings = Timings(written and written.timings)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._saver.close()
        self.log.close()
        self.timings.close()

    def add(self, chunk: Chunk) -> None:
        """Write down a chunk; every process of a run calls this, as the state may be split."""
        found = None
        if chunk.evaluation is not None and self._checkpoints is not None:
            place = whole_beside(chunk.state)
            self._hash = self._hash or jax.jit(state_hash, out_shardings=place)
            found = in_hex(self._hash(chunk.state))
        self.log.add(chunk, found)
        self.timings.add(
            step=int(chunk.steps[0]),
            steps=int(chunk.steps[0]) - chunk.start,
            seconds=chunk.seconds,
            evaluation_seconds=chunk.evaluation_seconds,
            data_wait_seconds=chunk.data_wait_seconds,
        )

    def save(self, state: TrainState, *, every: int) -> bool:
        """Save the checkpoint of a step that `every` divides, or one because of the time.

        Every process of a run calls this after every chunk.

        Returns:
          False where one was due of a state that is not finite: what is saved stays good.

        Raises:
          OSError: where the disk has not taken the checkpoint before.
        """
        self._saver.check()
        if self.log.steps % every == 0:
            return self.save_step(state)
        if distributed.first_says(time.monotonic() - self._saved_at >= self._seconds):
            return self.save_latest(state)
        return True

    def save_step(self, state: TrainState) -> bool:
        """Save the checkpoint of a step that the configuration decides; returns as `save`."""
        if self.log.steps != self._saved:
            if not self._save(functools.partial(checkpoint.save, keep=self._keep), state):
                return False
            self._saved = self.log.steps
        elif self._checkpoints:
            self._saver.wait()
            checkpoint.drop_latest(self._checkpoints)
        return True

    def save_latest(self, state: TrainState) -> bool:
        """Save a checkpoint that goes with the next one; returns as `save`."""
        return self._save(checkpoint.save_latest, state, latest=True)

    def wait(self) -> None:
        """Wait until what was to be saved is on the disk.

        Raises:
          OSError: where the disk does not take it.
        """
        self._saver.wait()

    def _save(self, save: Callable[..., None], state: TrainState, *, latest: bool = False) -> bool:
        if self.log.steps == self._saved:
            return True
        if not self._is_good(state):
            return False
        if (folder := self._checkpoints) is not None:
            self.log.sync()
            step, identity = self.log.steps, self._identity
            beside = {LOG: self.log.vouched(), XLA: self.xla}

            def write(tree):
                save(folder, step, tree, config_hash=identity, beside=beside)
                if not latest:  # so that the folder is as without it
                    checkpoint.drop_latest(folder)

            self._saver.save(write, state)
            self._saved_at = time.monotonic()
        return True

    def keep(self, ended: Finish) -> None:
        """Save what the run keeps at its end."""
        if self._kept:
            tree = {"params": ended.params, "model_state": ended.model_state}
            step = self.log.steps
            checkpoint.save(self._kept, step, tree, config_hash=self._identity, keep=1)
            if self._ensemble and ended.members:
                self._ensemble.mkdir(exist_ok=True)
                tree = dict(zip(("params", "model_state"), ended.members, strict=True))
                checkpoint.save(self._ensemble, step, tree, config_hash=self._identity, keep=1)
