"""The runs of a sweep, trained rung by rung in waves that fit the devices."""

import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from jaxopt_lab.config.groups import Group
from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.core.tree import stack_trees, take
from jaxopt_lab.engine import Chunk, Finish, fit
from jaxopt_lab.engine.saver import Saver
from jaxopt_lab.run.records.history import History
from jaxopt_lab.run.records.same_fusions import same_fusions
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
    halving there is one. A run that may go on to the next rung waits in memory, because the
    survivors are packed into other waves there, and on the disk, in the last save of its wave.
    """

    def __init__(
        self,
        session: Session[SweepFolder, Sweep],
        standings: Standings,
        populations: Sequence[tuple[Group, Population]],
    ):
        self._session, self._standings, self._populations = session, standings, populations
        self._waiting: dict[int, tuple[int, Any]] = {}  # step and state of a run between two rungs
        self._lost: set[int] = set()  # runs of this rung that have diverged
        self._saver = Saver()

    def close(self) -> None:
        """End the thread that saves, once it has."""
        self._saver.close()

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
        for group, population, runs in self._waves(self._standings.left):
            end = self.ends(population)[rung]
            yield from self._train_wave(group, population, runs, end, last)

    def halve(self, keep: int) -> None:
        """End all but the `keep` best runs of a rung, and those of it that have diverged.

        The waves of the next rung are saved before that is written down, and those of this one
        forgotten after it, so that a kill in between loses nothing.
        """
        before = [runs for _, _, runs in self._waves(self._standings.left)]
        lost, best = self._lost, self._standings.best(keep, self._lost)
        waves = list(self._waves(best))
        after = [runs for _, _, runs in waves]
        for _, population, runs in waves:
            step, states = self._between(runs)
            self._save(population, runs, step, states)
        self._saver.wait()
        left = [run for run in self._standings.left if run not in best]
        self._standings.end({r: ("diverged" if r in lost else "halved", None) for r in left})
        self._waiting = {run: found for run, found in self._waiting.items() if run in best}
        self._lost = set()
        for runs in before:
            if runs not in after:
                self._forget(runs)

    def _waves(self, left: Sequence[int]) -> Iterator[tuple[Group, Population, list[int]]]:
        """The waves that the runs that are left go in; each run is in one."""
        there = set(left)
        for group, population in self._populations:
            members = [run for run in group.members if run in there]
            if members:
                size = wave_size(len(members), population.bytes_each, population.mesh)
                for at in range(0, len(members), size):
                    yield group, population, members[at : at + size]

    def _train_wave(
        self, group: Group, population: Population, runs: Sequence[int], end: int, last: bool
    ) -> Generator[Chunk, None, None]:
        """Train one wave of runs, which are numbered among all runs of the sweep."""
        standings = self._standings
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
            donate=True,
        ):
            wave, alive = chunk.state, chunk.alive
            standings.add(runs, chunk)
            self._saver.check()
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(population, runs, chunk.end, wave.stacked)
                saved = time.monotonic()
            try:
                yield chunk
            except GeneratorExit:  # interrupted
                self._save(population, runs, chunk.end, wave.stacked)
                self._saver.wait()
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
            self._forget(runs)  # now that they are written down
            return
        if start < end:
            self._save(population, runs, end, wave.stacked)
        self._lost |= lost
        for place, run in enumerate(runs):
            if run not in lost:
                self._waiting[run] = end, take(wave.stacked, place)

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
            start, states = self._between(runs)
            for run in runs:
                del self._waiting[run]
            return start, population.wave_of(places, states)
        wave, folder = population.start(places), self._session.folder
        found = folder.restore_progress(runs, wave.unpadded) if folder else None
        if found is None:
            return 0, wave
        start, states, histories, beside = found
        fusions = same_fusions(beside, self._session.say)
        if fusions != population.fusions:
            population.compile_with(fusions)
        for run in runs:
            self._standings.histories[run] = History(histories[run])
        self._session.say(f"{len(runs)} runs go on from step {start:,}")
        return start, population.wave_of(places, states)

    def _between(self, runs: Sequence[int]) -> tuple[int, Any]:
        """The step and the states of runs that wait, leading axis of runs."""
        return self._waiting[runs[0]][0], stack_trees([self._waiting[run][1] for run in runs])

    def _save(self, population: Population, runs: Sequence[int], step: int, stacked: Any) -> None:
        """Save the states of a wave, which may be padded, while the training goes on."""
        folder = self._session.folder
        if folder is None:
            return
        histories = {run: self._standings.histories[run].columns() for run in runs}
        states = take(stacked, slice(len(runs)))
        fusions = population.fusions

        def write(states: Any) -> None:
            folder.save_progress(runs, step, states, histories, fusions)

        self._saver.save(write, states)

    def _forget(self, runs: Sequence[int]) -> None:
        """Forget the states of a wave."""
        self._saver.wait()
        if self._session.folder:
            self._session.folder.clear_progress(runs)
