"""Train from a configuration: the data, the compiled run, its folder, its verdict."""

import functools
import hashlib
import json
import math
import os
import pathlib
import re
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.config.build import Experiment, build
from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.engine._fit import fit
from jaxopt_lab.engine.compilation import jit_once
from jaxopt_lab.engine.data_parallel import data_parallel, deal_rows
from jaxopt_lab.engine.program import Program, compile_program, fits_on_device
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.run import distributed
from jaxopt_lab.run.finish import finish
from jaxopt_lab.run.folder import RunFolder
from jaxopt_lab.run.interrupt import catch_interrupts
from jaxopt_lab.run.log import MetricsLog, Timings
from jaxopt_lab.run.progress import Progress
from jaxopt_lab.run.report import write_report
from jaxopt_lab.run.verdict import opening, summarize, verdict
from jaxopt_lab.sweeps import device_mesh, replicated, some_devices

# Between two looks of the processes of one run at each other: whether one is to be interrupted.
STEPS_PER_CHUNK = 32


class Result(NamedTuple):
    """What a run leaves.

    Attributes:
      params: the trained parameters: the best where early stopping kept them, else the average
        where there is one, else the last; `summary["kept"]` says which.
      model_state: the model's other collections, such as batch statistics.
      history: NumPy columns `step`, `loss`, `accuracy`, `learning_rate`, and `eval_step`,
        `val_loss`, `val_accuracy` where there is a validation split.
      test: `{"loss": ..., "accuracy": ...}` on the test split; empty where interrupted.
      run_dir: the run folder, or None.
      stopped_by: "finished", "early_stopping", "interrupted" or "diverged".
      summary: what `summary.json` holds.
    """

    params: Any
    model_state: dict[str, Any]
    history: dict[str, np.ndarray]
    test: dict[str, float]
    run_dir: pathlib.Path | None
    stopped_by: str
    summary: dict[str, Any]


def train(
    config: Config | str | os.PathLike[str] | None,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    model: Any = None,
    devices: int | None = None,
    progress: bool = True,
) -> Result:
    """Train from a configuration.

    Args:
      config: from `load_config`, or the path of a TOML file; None to resume with the run's own.
      run_dir: a folder for the log, checkpoints, plots and report; nothing is written without one.
      resume: continue the run that `run_dir` holds, exactly as if it had never stopped.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      model: a model to train in place of the configuration's, with `init(rngs, x, train=...)` and
        `apply(variables, x, train=...)` as Linen modules have them.
      devices: of a data-parallel run, how many; None for all where the configuration has
        `train.data_parallel`, otherwise for one.
      progress: whether to draw the run.

    Returns:
      A `Result`. Ctrl-C ends the run early with `stopped_by="interrupted"`, after saving.

    Raises:
      InputError: where the configuration, the data or the run folder is wrong.
      OSError: where the disk does not take what is to be saved; earlier checkpoints stay.
    """
    began = time.perf_counter()
    see = Progress(show=progress and distributed.is_first())
    if isinstance(config, str | os.PathLike):
        config = load_config(config)
    if run_dir is None:
        if resume or config is None:
            raise InputError("resume: give the run_dir of the run to continue")
        experiment = build(config, data_dir=data_dir, model=model)
        return _train(experiment, None, see, began, False, model, devices)
    if not distributed.is_first():
        folder = RunFolder(run_dir)
        config = folder.resume() if resume else config
        assert config is not None
        experiment = build(config, data_dir=data_dir, model=model)
        return _train(experiment, folder, see, began, resume, model, devices)
    require("matplotlib", "lab")  # for the report: told before the run, not after it
    folder = RunFolder(run_dir)
    if resume and not folder.path.is_dir():
        raise InputError(f"{folder.path} holds no run to resume: there is no such folder")
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(f"{folder.path} is a file: give a folder for the run")
    with folder.locked():
        if resume:
            own = folder.resume()
            if config is not None and config_hash(config) != config_hash(own):
                raise InputError(
                    f"{folder.path} holds a run of another configuration ({folder.config}): "
                    "resume without a configuration, or give another --run-dir"
                )
            config = own
        elif config is None:
            raise InputError("train: give a configuration")
        else:
            folder.refuse_a_second_run()
        experiment = build(config, data_dir=data_dir, model=model)
        return _train(experiment, folder, see, began, resume, model, devices)


def _train(
    experiment: Experiment,
    folder: RunFolder | None,
    see: Progress,
    began: float,
    resume: bool,
    model: Any,
    devices: int | None,
) -> Result:
    config = experiment.config
    mesh = None
    if config.train.data_parallel or devices is not None or jax.process_count() > 1:
        chosen = some_devices(devices)
        mesh = device_mesh(chosen, data=len(chosen))
        step = data_parallel(experiment.step, mesh, experiment.batch_size)
        experiment = experiment._replace(step=step)
    identity = config_hash(config)
    if model is not None:
        described = re.sub(r" at 0x[0-9a-f]+", "", repr(model))
        identity = hashlib.sha256(f"{identity} {described}".encode()).hexdigest()
    begin = time.perf_counter()
    with see.waiting("compiling ..."):
        state = (
            jit_once(experiment.init)(jax.random.key(config.seed))
            if mesh is None
            else distributed.initialized(experiment.init, config.seed, mesh)
        )
        if resume and folder:
            found = checkpoint.restore(folder.checkpoints, state, config_hash=identity)
            if found is None:
                see.say(f"{folder.checkpoints} holds no checkpoint yet: starting over")
            step, state = found or (0, state)
            distributed.require_same(step, f"not every process finds step {step:,} of the run")
        data = experiment.train
        # Of several hosts each feeds its own devices.
        if jax.process_count() == 1 and fits_on_device(data):
            data = jax.device_put(data) if mesh is None else replicated(data, mesh)
        dispatch = config.train.steps_per_dispatch
        program = compile_program(
            experiment.step,
            state,
            data,
            experiment.batch_size,
            dispatch if isinstance(dispatch, int) else None,
            bootstrap=config.data.bootstrap,
            feed=None if mesh is None else functools.partial(deal_rows, mesh=mesh),
        )
    start = int(state.step)
    compile_seconds = time.perf_counter() - begin
    checkpoints = folder and folder.checkpoints
    folder = folder if distributed.is_first() else None  # who writes all else
    see.say(opening(experiment, program, state, folder, compile_seconds))
    if folder and not resume:
        folder.begin(config)  # after all that may fail before a first step: it leaves no run behind
    if checkpoints:
        distributed.require_seen(checkpoints)
    log = MetricsLog(folder.metrics if folder else None, until=start)
    timings = Timings(folder.timings if folder else None)
    timings.add(start=start, compile_seconds=compile_seconds)
    try:
        state, stopped_by = _run(
            experiment, program, state, log, timings, checkpoints, identity, see
        )
        ended = None
        if stopped_by in ("finished", "early_stopping"):
            begin = time.perf_counter()
            ended = finish(experiment, state, program.in_loop)
            timings.add(test_seconds=time.perf_counter() - begin)
    finally:
        log.close()
        timings.close()
    seconds = time.perf_counter() - began
    summary = summarize(experiment, state, log, timings, ended, stopped_by, seconds)
    history = log.history()
    if folder:
        content = json.dumps(summary, indent=2) + "\n"
        checkpoint.write_atomically(folder.summary, content.encode())
        write_report(folder, config, history, summary)
    verdict(see, summary, folder)
    params, model_state = (ended or state).params, (ended or state).model_state
    return Result(
        params=params,
        model_state=model_state,
        history=history,
        test=summary["test"],
        run_dir=folder.path if folder else None,
        stopped_by=stopped_by,
        summary=summary,
    )


def _run(
    experiment: Experiment,
    program: Program,
    state: TrainState,
    log: MetricsLog,
    timings: Timings,
    checkpoints: pathlib.Path | None,
    identity: str,
    see: Progress,
) -> tuple[TrainState, str]:
    """Train to the end, an interrupt or divergence; log and save on the way."""
    measure = experiment.measure(program.in_loop, experiment.model)
    place = jax.device_put if program.in_loop else lambda batches: batches
    validation = experiment.validation and place(experiment.batches(experiment.validation))

    def evaluate(state: TrainState) -> dict[str, jax.Array]:
        params = experiment.evaluated(state.params, state.opt_state)
        values = measure(params, state.model_state, validation)
        return {f"val_{name}": value for name, value in values.items()}

    start, total = int(state.step), experiment.total_steps
    saved = start if start else None

    def save() -> None:
        nonlocal saved
        if checkpoints and saved != int(state.step):
            log.sync()
            checkpoint.save(checkpoints, int(state.step), state, config_hash=identity)
            saved = int(state.step)

    stopped_by = "finished"
    chunks = fit(
        state,
        program,
        evaluate if validation else None,
        total=total,
        evaluate_every=experiment.evaluate_every,
        steps_per_chunk=None if jax.process_count() == 1 else STEPS_PER_CHUNK,
    )
    with (
        catch_interrupts(see.say) as interrupted,
        see.training(start=start, total=total, steps_per_epoch=experiment.steps_per_epoch) as bar,
    ):
        for chunk in chunks:
            state = chunk.state
            if chunk.stopped:
                stopped_by = "early_stopping"
            if not len(chunk.rows["loss"]):
                break
            step = chunk.start + len(chunk.rows["loss"])
            log.train(chunk.start, chunk.rows, experiment.config.train.log_every)
            if chunk.evaluation is not None:
                log.evaluation(step, chunk.evaluation)
            timings.add(
                step=step,
                steps=len(chunk.rows["loss"]),
                seconds=chunk.seconds,
                evaluation_seconds=chunk.evaluation_seconds,
            )
            last = {name: float(values[-1]) for name, values in chunk.rows.items()}
            bar.update(step, last, chunk.evaluation, chunk.seconds)
            # A bad batch may pass; parameters that are not finite stay so, and are not saved.
            if not math.isfinite(last["loss"]) and not bool(all_finite(state.params)):
                stopped_by = "diverged"
                break
            every = experiment.checkpoint_every
            if step // every > (saved or 0) // every:
                save()
            if distributed.any_process(interrupted.is_set()) and step < total:
                stopped_by = "interrupted"
                break
    if stopped_by != "diverged":
        save()
    return state, stopped_by
