"""Train every run of a sweep: in groups, waves and rungs."""

import math
import os
import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.parse import ConfigError
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import Sweep, load_sweep, parse_sweep
from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.run.interrupt import catch_interrupts
from jaxopt_lab.run.many import Many
from jaxopt_lab.run.progress import Progress
from jaxopt_lab.run.sweep_folder import SweepFolder
from jaxopt_lab.run.sweep_records import Course, RunRecord, SweepResult, is_better_high, score
from jaxopt_lab.run.sweep_report import closing_table, write_sweep_report
from jaxopt_lab.sweeps import (
    RunsChunk,
    device_mesh,
    fit_runs,
    rung_ends,
    rung_sizes,
    some_devices,
    spread,
    survivors,
    wave_size,
)


def sweep(
    config: Sweep | str | os.PathLike[str] | None,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    devices: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    model: Any = None,
    progress: bool = True,
) -> SweepResult:
    """Train every run of a sweep, each group of one structure as one compiled program.

    Args:
      config: from `load_sweep`, or the path of a TOML file; None to resume with the sweep's own.
      run_dir: a folder for results and report; nothing is written without one.
      resume: go on with the sweep that `run_dir` holds; runs that have ended are not run again.
      devices: how many to spread the runs over; None for all.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      model: a model to train in place of the configuration's, as of `train`.
      progress: whether to draw the sweep.

    Returns:
      A `SweepResult`. Ctrl-C ends the sweep with `stopped_by="interrupted"`; what has ended stays.

    Raises:
      InputError: where the configuration, the data, the devices or the folder is wrong.
    """
    began = time.perf_counter()
    see = Progress(show=progress)
    if isinstance(config, str | os.PathLike):
        config = load_sweep(config)
    if run_dir is None:
        if resume or config is None:
            raise InputError("resume: give the run_dir of the sweep to continue")
        return _Sweeping(config, None, devices, data_dir, model, see).run(began)
    require("matplotlib", "lab")
    folder = SweepFolder(run_dir)
    if resume and not folder.path.is_dir():
        raise InputError(f"{folder.path} holds no sweep to resume: there is no such folder")
    with folder.locked():
        if resume:
            own = parse_sweep(folder.tables(), source=str(folder.config))
            if config is not None and config.tables != own.tables:
                raise InputError(
                    f"{folder.path} holds another sweep ({folder.config}): resume without a "
                    "configuration, or give another --run-dir"
                )
            config = own
        elif config is None:
            raise InputError("sweep: give a configuration")
        else:
            folder.refuse_a_second_run()
        return _Sweeping(config, folder, devices, data_dir, model, see).run(began)


# Between two saves of the states of runs under way.
SAVE_SECONDS = 30.0


class _Sweeping:
    """A sweep while it goes."""

    def __init__(
        self,
        plan: Sweep,
        folder: SweepFolder | None,
        devices: int | None,
        data_dir: Any,
        model: Any,
        see: Progress,
    ):
        self.plan, self.folder, self.see = plan, folder, see
        self.records: list[RunRecord | None] = [None] * len(plan.runs)
        configs = [run.config for run in plan.runs]
        self.mesh = device_mesh(some_devices(devices))
        self.factor = plan.settings.halving
        with see.waiting("reading the data ..."):
            groups = group_runs(configs, partial(read, data_dir=data_dir, model=model))
            self.many = [Many(group, self.mesh, plan.settings.vectorize) for group in groups]
        self.monitor = _monitor(plan.settings.monitor, self.many)
        self.courses = {i: Course() for i in range(len(plan.runs))}
        self.held: dict[int, Any] = {}  # states of runs between two rungs
        self.seen: float | None = None  # the best value of the monitor yet

    def run(self, began: float) -> SweepResult:
        folder, see = self.folder, self.see
        if folder:
            folder.begin(self.plan.tables)
            for i, record in folder.ended(self.plan, self._templates()).items():
                self.records[i] = record
        left = sum(record is None for record in self.records)
        sizes = rung_sizes(len(self.records), self.factor)
        # Where a sweep goes on, the rungs that thinned it out already are trained through.
        first = max((k for k, size in enumerate(sizes) if size >= left), default=0)
        see.say(self._opening(left))
        stopped_by = "finished"
        with (
            catch_interrupts(see.say) as interrupted,
            see.sweeping(self._work(sizes, first, left), self.monitor) as bar,
        ):
            for rung in range(first, len(sizes)) if left else ():
                chunks = self._climb(rung, len(sizes) - 1)
                for chunk in chunks:
                    bar.update(chunk.count * len(chunk.steps), chunk.seconds, self._best())
                    if interrupted.is_set():
                        stopped_by = "interrupted"
                        chunks.close()
                        break
                if stopped_by == "interrupted":
                    break
                if rung + 1 < len(sizes):
                    self._thin(sizes[rung + 1])
        seconds = time.perf_counter() - began
        path, best = folder.path if folder else None, self._best_index()
        result = SweepResult(tuple(self.records), self.monitor, best, path, stopped_by, seconds)
        if folder:
            write_sweep_report(folder, self.plan, result)
        closing_table(see, self.plan, result)
        return result

    def _climb(self, rung: int, last: int) -> Generator[RunsChunk, None, None]:
        """Train every run that is left to the end of a rung, in waves that fit."""
        for many in self.many:
            end = many.rungs(len(self.records), self.factor)[rung]
            members = [i for i in many.group.members if self.records[i] is None]
            if not members:
                continue
            size = wave_size(len(members), many.bytes_each, self.mesh)
            for at in range(0, len(members), size):
                wave = members[at : at + size]
                start, owns = self._owns(many, wave)
                alive, saved = np.ones(len(wave), bool), time.monotonic()
                for chunk in fit_runs(
                    owns,
                    many.advance,
                    many.evaluate,
                    start=start,
                    total=end,
                    evaluate_every=many.experiment.evaluate_every,
                    most=many.most,
                ):
                    owns, alive = chunk.owns, chunk.alive[: len(wave)]
                    for k, i in enumerate(wave):
                        self.courses[i].add(k, chunk)
                    if self.folder and time.monotonic() - saved > SAVE_SECONDS:
                        self._save(wave, chunk.start + chunk.count, owns)
                        saved = time.monotonic()
                    try:
                        yield chunk._replace(steps=chunk.steps[: len(wave)])
                    except GeneratorExit:  # interrupted
                        self._save(wave, chunk.start + chunk.count, owns)
                        raise
                if self.folder:
                    self.folder.clear_progress()
                self._leave(many, wave, owns, alive, end if rung < last else None)

    def _owns(self, many: Many, wave: Sequence[int]) -> tuple[int, Any]:
        if wave[0] in self.held:
            start, _ = self.held[wave[0]]
            states = [self.held.pop(i)[1] for i in wave]
            return start, spread(jax.tree.map(lambda *x: jnp.stack(x), *states), self.mesh)
        places = [many.group.members.index(i) for i in wave]
        owns = many.start([values[places] for values in many.group.values])
        first = jax.tree.map(lambda x: x[: len(wave)], owns)
        found = self.folder and self.folder.restore_progress(wave, first)
        if not found:
            return 0, owns
        step, owns, histories = found
        for i in wave:
            self.courses[i].go_on(histories[i])
        self.see.say(f"{len(wave)} runs go on from step {step:,}")
        return step, spread(owns, self.mesh)

    def _save(self, wave: Sequence[int], step: int, owns: Any) -> None:
        if self.folder is None:
            return
        states = jax.tree.map(lambda x: x[: len(wave)], owns)
        histories = {i: self.courses[i].history() for i in wave}
        self.folder.save_progress(wave, step, states, histories)

    def _leave(
        self, many: Many, wave: Sequence[int], owns: Any, alive: np.ndarray, held_at: int | None
    ) -> None:
        """Keep what a wave left: its states for the next rung, or its records."""
        if held_at is not None:
            for k, i in enumerate(wave):
                state = jax.tree.map(lambda x, k=k: x[k], owns)
                self.held[i] = held_at, state
                if not alive[k]:
                    self._end(i, "diverged")
            return
        params, model_state, tests = many.finish(owns, len(wave))
        for k, i in enumerate(wave):
            at = lambda tree, k=k: jax.tree.map(lambda x: x[k], tree)  # noqa: E731
            course = self.courses[i]
            early = course.steps < many.experiment.total_steps
            if not alive[k]:
                self._end(i, "diverged", save=False)
            else:
                self._end(
                    i,
                    "early_stopping" if early else "finished",
                    test={name: float(v) for name, v in at(tests).items()},
                    params=at(params),
                    model_state=at(model_state),
                    save=False,
                )
        if self.folder:
            self.folder.add({i: self.records[i] for i in wave})

    def _thin(self, keep: int) -> None:
        """End all but the best runs."""
        left = [i for i, record in enumerate(self.records) if record is None]
        scores = [score(self._record(i, "halved"), self.monitor) for i in left]
        best = {left[k] for k in survivors(scores, keep)}
        ended = [i for i in left if i not in best]
        for i in ended:
            self._end(i, "halved", save=False)
        if self.folder and ended:
            self.folder.add({i: self.records[i] for i in ended})

    def _end(self, i: int, stopped_by: str, *, save: bool = True, **kept: Any) -> None:
        self.records[i] = self._record(i, stopped_by, **kept)
        self.held.pop(i, None)
        if save and self.folder:
            self.folder.add({i: self.records[i]})

    def _record(self, i: int, stopped_by: str, **kept: Any) -> RunRecord:
        course = self.courses[i]
        history = course.history()
        metrics = {k: float(v[-1]) for k, v in history.items() if not k.endswith("step") and len(v)}
        return RunRecord(
            self.plan.runs[i].values, stopped_by, course.steps, metrics, history, **kept
        )

    def _templates(self) -> dict[int, Any]:
        """Shapes of what each run keeps."""
        return {
            i: (many.state.params, many.state.model_state)
            for many in self.many
            for i in many.group.members
        }

    def _work(self, sizes: Sequence[int], first: int, left: int) -> int:
        """Steps of all runs to come; where groups differ in length, an estimate."""
        mean = sum(m.experiment.total_steps * len(m.group.members) for m in self.many)
        ends = rung_ends(len(self.records), mean, self.factor)
        begins = (0, *ends[first:-1])
        spans = zip(sizes[first:], ends[first:], begins, strict=True)
        work = sum(min(size, left) * (end - begin) for size, end, begin in spans)
        return max(1, work // len(self.records))

    def _best_index(self) -> int | None:
        scores = [score(record, self.monitor) for record in self.records]
        return None if np.isnan(scores).all() else int(np.nanargmin(scores))

    def _best(self) -> float | None:
        """The best value of the monitor yet, of runs that go on too."""
        values = [c.last(self.monitor) for c in self.courses.values()]
        values = [v for v in (*values, self.seen) if v is not None and math.isfinite(v)]
        if values:
            self.seen = max(values) if is_better_high(self.monitor) else min(values)
        return self.seen

    def _opening(self, left: int) -> str:
        runs = len(self.records)
        devices = self.mesh.devices.size
        kind = f"{devices} {jax.default_backend()} device{'s' if devices > 1 else ''}"
        programs = f"{len(self.many)} program{'s' if len(self.many) > 1 else ''}"
        how = " and ".join(sorted({many.how for many in self.many}))
        lines = [f"{runs:,} runs in {programs} ({how}) on {kind}"]
        if left < runs:
            lines.append(f"{runs - left:,} have ended already; {left:,} to go")
        if self.folder:
            lines.append(f"writing to {self.folder.path}")
        return "\n".join(lines)


def _monitor(chosen: str | None, many: Sequence[Many]) -> str:
    """The metric to compare by, which every run must measure."""
    held = all(m.experiment.validation is not None for m in many)
    if chosen is None:
        return "val_loss" if held else "loss"
    known = ["loss", *many[0].experiment.metrics]
    known += [f"val_{name}" for name in known] if held else []
    if chosen not in known:
        why = nearest(chosen, known)
        if chosen.removeprefix("val_") in known and not held:
            why = ": it needs data.validation > 0"
        listed = ", ".join(known)
        fault = f"{chosen!r} is not measured{why}; there are {listed}"
        raise ConfigError("configuration", [("sweep.monitor", fault)])
    return chosen
