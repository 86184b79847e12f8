"""Train from a configuration: the data, the program, its folder, its verdict."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.checks import parse_mesh
from jaxopt_lab.config.layout import build_layout
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import MeshConfig
from jaxopt_lab.config.source import read
from jaxopt_lab.config.start import started, with_start
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Logger, Model
from jaxopt_lab.engine import OneRun, TrainState, checkpoint, fit
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.process.profile import Profile
from jaxopt_lab.run.process.stopwatch import Stopwatch
from jaxopt_lab.run.records.answers import look_at_test
from jaxopt_lab.run.records.chosen_step import tell_of_damage, tell_of_missing, why_this_step
from jaxopt_lab.run.records.find_lost import find_lost
from jaxopt_lab.run.records.fit import has_diverged, last_sound_step
from jaxopt_lab.run.records.identity import identity_of
from jaxopt_lab.run.records.report import write_report
from jaxopt_lab.run.records.result import Result
from jaxopt_lab.run.records.run import run_of
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.run_writer import RunWriter
from jaxopt_lab.run.records.same_fusions import same_fusions
from jaxopt_lab.run.records.summary import summarize
from jaxopt_lab.run.session import Session, open_session
from jaxopt_lab.run.terminal.closing import opening, verdict
from jaxopt_lab.run.trackers.tracking import Tracking, about_run, check_loggers, check_trackers

ENDED = ("finished", "early_stopping")


def train(
    config: Config | str | os.PathLike[str] | None,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    from_step: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
    devices: int | None = None,
    mesh: MeshConfig | Mapping[str, Any] | None = None,
    loggers: Sequence[Logger] = (),
    profile: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Result:
    """Train from a configuration.

    Args:
      config: from `load_config`, or the path of a TOML file; None to resume with the run's own.
      run_dir: a folder for the log, checkpoints, plots and report; nothing is written without one.
      resume: continue the run that `run_dir` holds, exactly as if it had never stopped.
      from_step: with `resume`, go on from the checkpoint of this step and drop what came after it;
        None for the newest that is whole.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: in place of the data set that the configuration names: a `data.Dataset`, arrays
        `(x, y)`, splits by name, or a source of samples; all that `data.as_dataset` takes.
      model: a model to train in place of the configuration's, with `init(rngs, x, train=...)` and
        `apply(variables, x, train=...)` as Linen modules have them.
      devices: how many share the run, those of `[mesh] model` counted; None for what `[mesh]` of
        the configuration says.
      mesh: a table `[mesh]` in place of the configuration's, `{"data": 4, "model": 2}` for one: a
        run may go on with other devices.
      loggers: objects with `.log(dict, step=)`, such as what `wandb.init()` gives: told of each
        row and evaluation, and of the scores on the test split, from a thread of their own. One
        that fails or hangs is given up with one message, and the run goes on.
      profile: a folder for a trace of the first 10 seconds of training, by JAX's profiler.
      progress: whether to draw the run.

    Returns:
      A `Result`. Ctrl-C ends the run early with `stopped_by="interrupted"`, after saving. A run
      that diverges keeps the best parameters where early stopping has found some.

    Raises:
      InputError: where the configuration, the data or the run folder is wrong.
      OSError: where the disk does not take what is to be saved; earlier checkpoints stay.
    """
    began = time.perf_counter()
    if from_step is not None and not resume:
        raise InputError(f"train: from_step={from_step} goes on with a run: give resume=True")
    if isinstance(config, str | os.PathLike):
        config = load_config(config)
    check_loggers(loggers)
    if mesh is not None and not isinstance(mesh, MeshConfig):
        mesh = parse_mesh(mesh)
    with open_session(RunFolder, config, run_dir, resume=resume, show=progress) as session:
        config, identity = session.config, identity_of(session.config, model)
        trace = Profile(profile, session.say)
        if session.resumes and session.folder:
            session.folder.require_given(data is not None)
        check_trackers(config.log, run_dir)
        source = read(config, data_dir=data_dir, model=model, data=data)
        if session.resumes and session.folder:
            session.folder.require_data(source.signature, source.parts)
            if session.written:
                session.written.move(config)
        for note in source.notes:
            session.say(f"data: {note}")
        if not _goes_on(session):
            source = with_start(config, source)
        layout = build_layout(mesh or config.mesh, devices)
        experiment = assemble(config, source, layout=layout)
        for line in started(experiment, source.start).lines() if source.start else ():
            session.say(line)
        # Processes that took other numbers of steps would wait for each other for ever.
        distributed.require_equal(
            f"{source.signature.samples:,} training samples (mean of x "
            f"{source.signature.mean.mean():.6g}) for {experiment.total_steps:,} steps of the "
            f"configuration {identity[:12]}"
        )
        program = OneRun(experiment, layout=layout)
        with session.terminal.waiting("compiling ..."), Stopwatch() as compiling:
            start, state = _first_state(session, program, identity, from_step)
        how = f"compiled in {compiling.seconds:.1f} s ({program.how}, {jax.default_backend()})"
        session.say(*opening(config, experiment, state, start, how, session.written))
        # After all that may fail before a first step, so that a failure leaves no run behind.
        session.begin(config, source.signature, source.parts)

        total, stopped_by, ended, chunk = experiment.total_steps, "finished", None, None
        place = session.written and session.written.path
        about = about_run(config, place, source.signature.classes, start)
        tracking = Tracking(config, experiment, about, loggers)
        writer = RunWriter(
            session.folder, config, identity, state, start=start, xla=program.fusions
        )
        with writer, tracking:
            writer.timings.add(start=start, compile_seconds=compiling.seconds)
            chunks = fit(
                program,
                state,
                start=start,
                total=total,
                evaluate_every=experiment.evaluate_every,
                save_every=experiment.checkpoint_every,
                steps_per_chunk=distributed.steps_per_chunk(),
                donate=True,
            )
            bar = session.terminal.training(start, total, experiment.steps_per_epoch)
            with session.interrupts() as interrupts, bar, contextlib.closing(program), trace:
                for chunk in chunks:
                    state = chunk.state
                    writer.add(chunk)
                    tracking.add(chunk)
                    bar.update(chunk)
                    trace.look()
                    if not chunk.alive[0]:
                        stopped_by = "diverged"
                        break
                    if chunk.steps[0] < chunk.end:
                        stopped_by = "early_stopping"
                    if not writer.save(state, every=experiment.checkpoint_every):
                        stopped_by = "diverged"
                        break
                    if interrupts.asked() and chunk.end < total and stopped_by == "finished":
                        stopped_by = "interrupted"
                        break
                good = stopped_by != "diverged"
                if good:
                    save = writer.save_latest if stopped_by == "interrupted" else writer.save_step
                    good = save(state)
                writer.wait()
                if not good:
                    stopped_by = "diverged"
            lost = None
            if not good:
                with session.terminal.waiting("looking for what is not finite ..."):
                    last = chunk.start if chunk else start
                    lost = find_lost(program, state, session.folder, identity, last, writer)
            if stopped_by in ENDED and distributed.first_says(has_diverged(writer.log.outline())):
                stopped_by = "diverged"
            if stopped_by in ENDED or (stopped_by == "diverged" and experiment.keeps_judged):
                with Stopwatch() as testing:
                    (ended,) = program.finish(state)
                    ended = ended if stopped_by in ENDED or ended.judged else None
                    if ended:
                        writer.keep(ended)
                writer.timings.add(test_seconds=testing.seconds)
            writer.timings.add(run_seconds=time.perf_counter() - began)
            summary = summarize(experiment, state, writer, ended, stopped_by, lost)
            if stopped_by == "diverged" and session.folder:
                until = last_sound_step(writer.log.outline()) if good else total
                whole = checkpoint.whole_steps(session.folder.checkpoints)
                summary["last_good"] = next((step for step in whole if step <= until), None)
            answers = None
            if ended and session.folder:  # in every process: each may hold a part of the parameters
                kept = ended.params, ended.model_state
                answers = look_at_test(experiment, *kept, source.signature)
            tracking.add_test(summary["test"], answers)
            try:
                if session.written:
                    outline, signature = writer.log.outline(), source.signature
                    write_report(
                        session.written, config, outline, summary, experiment, signature, answers
                    )
                    writer.log.sync()
                    session.written.seal_end()
            finally:  # told even where the disk is full
                verdict(session.terminal, summary, session.written)
            tracking.close(stopped_by)
    path, history = session.written and session.written.path, writer.log.history()
    run = run_of(
        config,
        source.signature,
        experiment,
        ended,
        state,
        path=path,
        history=history,
        summary=summary,
        last_state=_reads_state(session.folder, identity, state),
    )
    return Result(
        params=(ended or state).params,
        model_state=(ended or state).model_state,
        history=history,
        test=summary["test"],
        run_dir=path,
        stopped_by=stopped_by,
        summary=summary,
        run=run,
    )


def _reads_state(
    folder: RunFolder | None, identity: str, state: TrainState
) -> Callable[[], TrainState] | None:
    """What reads the state again that a run has saved, so that it need not be held."""
    if folder is None or not checkpoint.steps(folder.checkpoints):
        return None
    # The key is kept, whose kind is no shape.
    template = jax.eval_shape(lambda s: s, state)._replace(key=state.key)

    def read() -> TrainState:
        found = checkpoint.restore(folder.checkpoints, template, config_hash=identity)
        if found is None:
            raise InputError(f"{folder.path} holds no checkpoint any more")
        return found[1]

    return read


def _goes_on(session: Session[RunFolder, Config]) -> bool:
    """Whether there is a state to go on from, in which what a run was started from is."""
    folder = session.folder if session.resumes else None
    return folder is not None and bool(checkpoint.steps(folder.checkpoints))


def _first_state(
    session: Session[RunFolder, Config], program: OneRun, identity: str, wanted: int | None
) -> tuple[int, TrainState]:
    """Where the run begins: at step 0, or at the checkpoint where it goes on; compiled there."""
    if not (session.resumes and session.folder):
        return 0, program.start()
    state, fusions = program.first_state(), None
    checkpoints = session.folder.checkpoints
    found = checkpoint.restore(
        checkpoints, state, config_hash=identity, step=wanted, holds=session.folder.log_holds
    )
    if found is None:
        session.say(f"{checkpoints} holds no checkpoint: starting over")
        if session.written:
            tell_of_missing(session.folder, 0)
    else:
        beside = checkpoint.vouched_beside(checkpoints)
        if session.written:
            tell_of_damage(session.folder, found[0], beside)
        session.say(f"going on from {why_this_step(session.folder, found[0], wanted)}")
        fusions = same_fusions(beside[found[0]], session.say)
    start, state = found or (0, state)
    distributed.require_same(start, f"not every process finds step {start:,} of the run")
    program.compile(state, fusions)
    return start, state
