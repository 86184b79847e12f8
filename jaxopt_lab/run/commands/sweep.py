"""Train every run of a sweep: in groups, waves and rungs."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxopt_lab.config.chain import unmeasured
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.layout import mesh_of_runs
from jaxopt_lab.config.source import read
from jaxopt_lab.config.start import started, with_start
from jaxopt_lab.config.sweep import Run, Sweep, load_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.metrics import held_out
from jaxopt_lab.core.types import Logger, Model
from jaxopt_lab.data import as_dataset
from jaxopt_lab.run.commands.rungs import Rungs
from jaxopt_lab.run.records.member import Members
from jaxopt_lab.run.records.standings import Standings
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_records import ranked
from jaxopt_lab.run.records.sweep_report import write_sweep_report
from jaxopt_lab.run.records.sweep_result import SweepResult
from jaxopt_lab.run.session import open_session
from jaxopt_lab.run.terminal.closing_of_sweep import closing_table
from jaxopt_lab.run.trackers.sweep_tracking import SweepTracking
from jaxopt_lab.run.trackers.tracking import check_trackers
from jaxopt_lab.sweeps import Population, rung_ends, rung_sizes, wave_size


def sweep(
    config: Sweep | str | os.PathLike[str] | None,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    devices: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
    loggers: Callable[[Run], Logger] | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train every run of a sweep, each group of one structure as one compiled program.

    Args:
      config: from `load_sweep`, or the path of a TOML file; None to resume with the sweep's own.
      run_dir: a folder for results and report; nothing is written without one.
      resume: go on with the sweep that `run_dir` holds; runs that have ended are not run again.
      devices: how many to spread the runs over; None for all.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: in place of the data set that the configuration names: a `data.Dataset`, arrays
        `(x, y)`, splits by name, or a source of samples; all that `data.as_dataset` takes.
      model: a model to train in place of the configuration's, as of `train`.
      loggers: `run -> logger`, called for each run that has ended, whose `values` and `config` it
        has: the logger, an object with `.log(dict, step=)`, is given all of that run at once.
      progress: whether to draw the sweep.

    Returns:
      A `SweepResult`. Ctrl-C ends the sweep with `stopped_by="interrupted"`; what has ended stays.

    Raises:
      InputError: where the configuration, the data, the devices or the folder is wrong.
    """
    began = time.perf_counter()
    if loggers is not None and not callable(loggers):
        raise InputError(
            "sweep: loggers must be a function, run -> logger, because runs train side by side and "
            f"each has its own; got {loggers!r}"
        )
    if isinstance(config, str | os.PathLike):
        config = load_sweep(config)
    with open_session(SweepFolder, config, run_dir, resume=resume, show=progress) as session:
        plan, folder = session.config, session.folder
        for log in {run.config.log for run in plan.runs}:
            check_trackers(log, run_dir)
        if folder and session.resumes:
            folder.require_given(data is not None)
        data = None if data is None else as_dataset(data)  # a source is read once
        with session.terminal.waiting("reading the data ..."):
            groups = group_runs(
                [run.config for run in plan.runs],
                lambda config: with_start(
                    config, read(config, data_dir=data_dir, model=model, data=data)
                ),
            )
            mesh, layout = mesh_of_runs([run.config.mesh for run in plan.runs], devices)
            groups = [group._replace(layout=layout) for group in groups]
            populations = [
                Population(group, mesh, plan.settings.vectorize, layout) for group in groups
            ]
        begun = [
            started(population.experiment, group.source.start).lines()
            for group, population in zip(groups, populations, strict=True)
            if group.source.start
        ]
        for lines in dict.fromkeys(map(tuple, begun)):
            session.say(*lines)
        classes = groups[0].source.signature.classes
        tracking = SweepTracking(plan, folder, classes, loggers)
        monitor = _monitor(plan.settings.monitor, populations)
        standings = Standings(plan, monitor, folder, told=tracking.add)
        rungs = Rungs(session, standings, list(zip(groups, populations, strict=True)))
        of_run = {run: group.source.signature for group in groups for run in group.members}
        signatures = tuple(of_run[run] for run in range(len(plan.runs)))
        for group, population in zip(groups, populations, strict=True):
            size = wave_size(len(group.members), population.bytes_each, population.mesh)
            population.require_memory(size)  # before there is a folder
        session.begin(plan, signatures, model)
        if folder and session.resumes:
            folder.require_data(signatures, model)
            folder.move(plan)
            kept = [(p.shapes.params, p.shapes.model_state) for p in populations]
            templates = {i: t for g, t in zip(groups, kept, strict=True) for i in g.members}
            folder.recover()
            ended = folder.ended(plan, templates)
            standings.records = [ended.get(run) for run in range(len(plan.runs))]
            for run, record in ended.items():
                tracking.add(run, record)

        sizes = rung_sizes(len(plan.runs), plan.settings.halving)
        left = len(standings.left)
        # Where a sweep goes on, the rungs that thinned it out already are trained through.
        first = max((k for k, size in enumerate(sizes) if size >= left), default=0)
        session.say(*_opening(populations, len(plan.runs), left, folder))
        work = _work(plan, populations, sizes, first, left)
        bar, stopped_by = session.terminal.sweeping(work, standings.monitor), "finished"
        with session.interrupts() as interrupts, bar, contextlib.closing(rungs):
            for rung in range(first, len(sizes)) if left else ():
                chunks = rungs.train(rung, last=rung == len(sizes) - 1)
                for chunk in chunks:
                    bar.update(chunk, standings.ranked())
                    if interrupts.asked():
                        stopped_by = "interrupted"
                        chunks.close()
                        break
                if stopped_by == "interrupted":
                    break
                if rung + 1 < len(sizes):
                    rungs.halve(sizes[rung + 1])
            bar.end(standings.ranked())
        if folder and stopped_by == "finished":
            folder.clear_progress()  # of waves that were written down just before a kill

        records, path = tuple(standings.records), folder and folder.path
        monitor, settings = standings.monitor, tuple(ranked(plan, records, standings.monitor))
        result = SweepResult(
            runs=records,
            monitor=monitor,
            settings=settings,
            run_dir=path,
            stopped_by=stopped_by,
            seconds=time.perf_counter() - began,
            trained=Members(
                plan, signatures, model, lambda i, _: records[i], settings, monitor, path
            ),
        )
        try:
            if folder:
                write_sweep_report(folder, plan, result)
        finally:  # told even where the disk is full
            closing_table(session.terminal, plan, result)
        tracking.close()
        return result


def _monitor(chosen: str | None, populations: Sequence[Population]) -> str:
    """The metric to compare by, which every run must measure."""
    measured = ["loss", *populations[0].experiment.objective.measures]
    evaluations = [population.shapes.evaluation for population in populations]
    measured += [name for name in evaluations[0] if all(name in each for each in evaluations)]
    if chosen is None:
        (default,) = held_out(["loss"])
        return default if default in measured else "loss"
    if wrong := unmeasured(chosen, measured):
        raise ConfigError("configuration", [("sweep.monitor", wrong)])
    return chosen


def _work(
    plan: Sweep, populations: Sequence[Population], sizes: Sequence[int], first: int, left: int
) -> int:
    """Steps of all runs to come; where groups differ in length, an estimate."""
    runs = len(plan.runs)
    total = sum(p.experiment.total_steps * len(p.variants.values[0]) for p in populations)
    ends = rung_ends(runs, total, plan.settings.halving)
    begins = (0, *ends[first:-1])
    spans = zip(sizes[first:], ends[first:], begins, strict=True)
    work = sum(min(size, left) * (end - begin) for size, end, begin in spans)
    return max(1, work // runs)


def _opening(
    populations: Sequence[Population], runs: int, left: int, folder: SweepFolder | None
) -> list[str]:
    """What is about to be trained, on what, and where it is written, in lines."""
    devices = populations[0].mesh.devices.size
    kind = f"{devices} {jax.default_backend()} device{'s' if devices > 1 else ''}"
    programs = f"{len(populations)} program{'s' if len(populations) > 1 else ''}"
    how = " and ".join(sorted({population.how for population in populations}))
    lines = [f"{runs:,} runs in {programs} ({how}) on {kind}"]
    if left < runs:
        lines.append(f"{runs - left:,} have ended already; {left:,} to go")
    if folder:
        lines.append(f"writing to {folder.path}")
    return lines
