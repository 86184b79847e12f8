"""The runs of a sweep, trained rung by rung in waves that fit the devices."""

import time
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from jaxopt_lab.config.groups import Group
from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.core.tree import stack_trees, take
from jaxopt_lab.engine import Chunk, Finish, fit
from jaxopt_lab.run.records.history import History
from jaxopt_lab.run.records.standings import Standings
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.session import Session
from jaxopt_lab.sweeps import Population, Wave, rung_ends, wave_size

# How often the host looks up. Less often than for a single run: blocks of runs come and go from the
# caches with each chunk, and an epoch that is cut has its order drawn twice.
SECONDS_PER_CHUNK = 0.5

# Between two saves of the states of runs under way.
SAVE_SECONDS = 30.0


class Rungs:
    """Trains what is left of each population to the end of a rung, and ends what has ended.

    A rung is a part of the training after which successive halving ends the worse runs; without
    halving there is one. A run that goes on to the next rung waits in memory, because the survivors
    are packed into other waves there.
    """

    def __init__(
        self,
        session: Session[SweepFolder, Sweep],
        standings: Standings,
        populations: Sequence[tuple[Group, Population]],
    ):
        self._session, self._standings, self._populations = session, standings, populations
        self._waiting: dict[int, tuple[int, Any]] = {}  # step and state of a run between two rungs

    def ends(self, population: Population) -> tuple[int, ...]:
        """The step at which each rung ends for the runs of a population."""
        halving = self._session.config.settings.halving
        runs = len(self._session.config.runs)
        return rung_ends(runs, population.experiment.total_steps, halving)

    def train(self, rung: int, *, last: bool) -> Generator[Chunk, None, None]:
        """Train every run that is left to the end of a rung.

        Args:
          rung: from 0.
          last: whether no other follows, so that the runs end here.

        Yields:
          Chunks, in order. Closing the generator saves the wave that is under way.
        """
        left = set(self._standings.left)
        for group, population in self._populations:
            members = [run for run in group.members if run in left]
            if not members:
                continue
            size = wave_size(len(members), population.bytes_each, population.mesh)
            for at in range(0, len(members), size):
                runs = members[at : at + size]
                yield from self._train_wave(
                    group, population, runs, self.ends(population)[rung], last
                )

    def _train_wave(
        self, group: Group, population: Population, runs: Sequence[int], end: int, last: bool
    ) -> Generator[Chunk, None, None]:
        """Train one wave of runs, which are numbered among all runs of the sweep."""
        standings, folder = self._standings, self._session.folder
        start, wave = self._begin(group, population, runs)
        saved, alive = time.monotonic(), np.ones(len(runs), bool)
        # Saved at its end it trains no more, and may hold runs that have diverged.
        if start == end:
            alive = population.alive(wave)
        for chunk in fit(
            population,
            wave,
            start=start,
            total=end,
            evaluate_every=population.experiment.evaluate_every,
            seconds_per_chunk=SECONDS_PER_CHUNK,
        ):
            wave, alive = chunk.state, chunk.alive
            standings.add(runs, chunk)
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(runs, chunk)
                saved = time.monotonic()
            try:
                yield chunk
            except GeneratorExit:  # interrupted
                self._save(runs, chunk)
                raise
        lost = {run for run, is_alive in zip(runs, alive, strict=True) if not is_alive}
        if last:
            finishes = population.finish(wave)
            total = population.experiment.total_steps
            standings.end(
                {
                    run: self._ending(run, run in lost, finish, total)
                    for run, finish in zip(runs, finishes, strict=True)
                }
            )
        else:
            for place, run in enumerate(runs):
                if run not in lost:
                    self._waiting[run] = end, take(wave.stacked, place)
            standings.end({run: ("diverged", None) for run in runs if run in lost})
        if folder:  # now that the runs are written down
            folder.clear_progress()

    def _ending(
        self, run: int, lost: bool, finish: Finish, total: int
    ) -> tuple[str, Finish | None]:
        if lost:
            return "diverged", finish if finish.judged else None
        early = self._standings.histories[run].steps < total
        return ("early_stopping" if early else "finished"), finish

    def _begin(self, group: Group, population: Population, runs: Sequence[int]) -> tuple[int, Wave]:
        """The step and the state at which a wave begins: at 0, after a rung, or where it was."""
        places = [group.members.index(run) for run in runs]
        if runs[0] in self._waiting:
            start, _ = self._waiting[runs[0]]
            states = [self._waiting.pop(run)[1] for run in runs]
            return start, population.wave_of(places, stack_trees(states))
        wave, folder = population.start(places), self._session.folder
        found = folder.restore_progress(runs, wave.unpadded) if folder else None
        if found is None:
            return 0, wave
        start, states, histories = found
        for run in runs:
            self._standings.histories[run] = History(histories[run])
        self._session.say(f"{len(runs)} runs go on from step {start:,}")
        return start, population.wave_of(places, states)

    def _save(self, runs: Sequence[int], chunk: Chunk) -> None:
        """Save the states of a wave under way."""
        if self._session.folder is None:
            return
        histories = {run: self._standings.histories[run].columns() for run in runs}
        self._session.folder.save_progress(runs, chunk.end, chunk.state.unpadded, histories)
