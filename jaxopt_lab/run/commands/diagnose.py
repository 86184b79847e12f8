"""`jaxopt-lab diagnose`: is a run overfitting, and why does it not train."""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Batch, Model, ModelState, Params
from jaxopt_lab.diagnostics import (
    Calibration,
    activation_health,
    calibration,
    gradient_flow,
    judge_activation_health,
    judge_gradient_flow,
)
from jaxopt_lab.engine import Experiment, TrainState
from jaxopt_lab.losses import categorical
from jaxopt_lab.run.records.diagnosis import Diagnosis, Layers
from jaxopt_lab.run.records.fit import judge_fit
from jaxopt_lab.run.records.result import Result
from jaxopt_lab.run.records.run import Run
from jaxopt_lab.run.records.subject import Subject, find_subject
from jaxopt_lab.run.terminal.progress import Progress

SAMPLES = 512
"""Of training, evenly spaced: what gradients and activations are measured on."""


def diagnose(
    run: str | os.PathLike[str] | Run | Result,
    *,
    member: int | None = None,
    step: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
) -> Diagnosis:
    """Judge a run: its fit, the flow of its gradients, its activations, its probabilities.

    Gradients and activations are those of up to 512 training samples without augmentation, the same
    at every call: at the parameters that the run began with, and at those that it kept.

    Args:
      run: its folder, or what `load_run` or `train` gave; or the folder of a sweep.
      member: of a sweep, which of its runs, from 0.
      step: of the checkpoint to look at; None for what the run kept, or its newest checkpoint.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: in place of the data set that the configuration names: a `data.Dataset`, arrays
        `(x, y)`, splits by name, or a source of samples; all that `data.as_dataset` takes.
      model: the model that it was trained with, where that was given to `train`.

    Returns:
      A `Diagnosis`; of a run that diverged without a kept best, without the layers of its end.

    Raises:
      InputError: where the folder holds no such run, or the data is not there.
    """
    if isinstance(run, Run) and member is None:
        member = run.member
    path = run.run_dir if isinstance(run, Result) else run.path if isinstance(run, Run) else run
    if path is None:
        raise InputError("diagnose: this run was not written: give a run_dir to train")
    subject = find_subject(
        path, member=member, step=step, data_dir=data_dir, data=data, model=model
    )
    experiment = subject.experiment
    diverged = subject.stopped_by == "diverged"
    (batch,) = subject.batches(SAMPLES, SAMPLES)
    first = jax.jit(experiment.init)(jax.random.key(experiment.seed))
    layers_at = _layers_at(experiment, batch)
    layers = {"first step": layers_at(first.params, first.model_state, first)}
    if subject.params is not None:
        layers["end"] = layers_at(subject.params, subject.model_state, subject.state)
    return Diagnosis(
        subject.path,
        subject.why,
        judge_fit(experiment, subject.history, diverged=diverged),
        layers,
        _calibration(subject),
        subject.history,
        subject.config,
        member,
    )


def show(diagnosis: Diagnosis, terminal: Progress) -> None:
    """Print the verdicts, and what the course would try."""
    terminal.say(f"{diagnosis.path}: {diagnosis.why}")
    good = diagnosis.fit.kind == "good fit"
    terminal.closing_table(diagnosis.fit.sentence, diagnosis.rows, good=good)
    for text in diagnosis.remedies:
        terminal.say(f"  try: {text}")


def _layers_at(
    experiment: Experiment, batch: Batch
) -> Callable[[Params, ModelState, TrainState | None], Layers]:
    """What judges the gradient in training mode, and the activations in evaluation mode."""
    forward, key = experiment.forward, jax.random.key(experiment.seed)
    rows = np.arange(experiment.batch_size) % len(batch["y"])
    first_batch = {name: values[rows] for name, values in batch.items()}

    @jax.jit
    def gradient(params, model_state):
        def mean(params):
            outputs, _ = forward.train(params, model_state, batch["x"], key)
            return experiment.objective.each(outputs, batch).mean()

        return jax.grad(mean)(params)

    @jax.jit
    def update(state):
        after, _ = experiment.step(state, first_batch)
        return jax.tree.map(jnp.subtract, after.params, state.params)

    def layers(params, model_state, state):
        try:
            health = activation_health(
                lambda params, x: forward.evaluate(params, model_state, x), params, batch["x"]
            )
        except InputError:  # no layer can be seen in it
            health = None
        flow = gradient_flow(
            params,
            gradient(params, model_state),
            None if state is None else update(state),
            order=health.order if health else None,
        )
        judged = health and judge_activation_health(health)
        return Layers(flow, judge_gradient_flow(flow), health, judged)

    return layers


def _calibration(subject: Subject) -> Calibration | None:
    experiment = subject.experiment
    softmax = declared(experiment.objective.loss).sampler is categorical
    if not softmax or subject.params is None or not experiment.classes:
        return None
    held_out = experiment.validation or experiment.test
    outputs = _outputs(subject, held_out["x"], experiment.evaluation_batch_size)
    return calibration(outputs, jnp.asarray(held_out["y"]))


def _outputs(subject: Subject, x: np.ndarray, size: int) -> jax.Array:
    """In evaluation mode, so many samples at a time."""
    apply = jax.jit(subject.experiment.forward.evaluate)
    parts = [
        apply(subject.params, subject.model_state, x[i : i + size]) for i in range(0, len(x), size)
    ]
    return jnp.concatenate(parts)
