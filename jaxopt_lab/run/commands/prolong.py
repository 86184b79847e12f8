"""`jaxopt-lab train --resume RUN --epochs 60`: a new run from the last state of another."""

import dataclasses
import os
import shutil
from typing import Any

import jax

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.dump import to_tables
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import without_data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Model
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.identity import identity_of
from jaxopt_lab.run.records.overview import flat
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import seal


def prolong(
    run: str | os.PathLike[str],
    run_dir: str | os.PathLike[str],
    *,
    epochs: float | None = None,
    steps: int | None = None,
    model: Model | None = None,
) -> list[str]:
    """Begin a new run from the last state of another, to be trained for longer.

    `run_dir` gets the configuration with its new length, and the run's log and newest whole
    checkpoint; `train(None, run_dir, resume=True)` goes on from there. The run itself stays as it
    is. Schedules are those of the new length from its first step, and so are lengths in percent.

    Args:
      run: the folder of a run that has a checkpoint.
      run_dir: a folder for the new one.
      epochs, steps: of the whole of the new run, one of the two: more than `run` has taken.
      model: given to `train` in place of the configuration's.

    Returns:
      What there is to say: where it goes on, the learning rate there, lengths in percent.

    Raises:
      InputError: where there is no state to go on from, the new length is no longer than the old,
        or `run_dir` is taken.
    """
    if (epochs is None) == (steps is None):
        raise InputError("prolong: give epochs or steps, one of the two")
    old, new = RunFolder(run), RunFolder(run_dir)
    old.require_there(" to resume")
    signature, config = old.own_signature(), old.read_config()
    stopped_by = old.last_summary().get("stopped_by")
    if stopped_by in ("early_stopping", "diverged"):
        how = "stopped early" if stopped_by == "early_stopping" else "diverged"
        raise InputError(
            f"{old.path} {how}: more steps change nothing; begin another from its parameters with "
            f'[start] from = "{old.path}"'
        )
    train = dataclasses.replace(config.train, epochs=epochs, steps=steps)
    longer = parse_config(to_tables(dataclasses.replace(config, train=train)), source="prolong")
    was, now = (assemble(c, without_data(c, signature, model)) for c in (config, longer))
    key = jax.random.key(0)
    template = jax.eval_shape(now.init, key)._replace(key=key)
    found = checkpoint.restore(old.checkpoints, template, config_hash=identity_of(config, model))
    if found is None:
        raise InputError(f"{old.path} holds no checkpoint to go on from")
    step, state = found
    if now.total_steps <= step:
        raise InputError(
            f"{old.path} stands at step {step:,}, and {_asked(epochs, steps)} are "
            f"{now.total_steps:,} steps: give more than {step / was.steps_per_epoch:g} epochs"
        )
    new.refuse_if_taken()
    with new.locked():
        new.begin(longer, signature)
        for name in ("metrics", "timings", "split", "own_code"):
            if (path := getattr(old, name)).exists():
                shutil.copyfile(path, getattr(new, name))
        seal(new.path, {p.name: None for p in (new.split, new.own_code) if p.exists()})
        beside = checkpoint.beside_of(old.checkpoints, step)
        identity = identity_of(longer, model)
        checkpoint.save(new.checkpoints, step, state, config_hash=identity, beside=beside)
    return [
        f"from step {step:,} of {old.path} to step {now.total_steps:,}, in {new.path}",
        *_of_rate(was, now, step),
        *_in_percent(to_tables(longer), was.total_steps, now.total_steps),
    ]


def _asked(epochs: float | None, steps: int | None) -> str:
    return f"{epochs:g} epochs" if steps is None else f"{steps:,} steps"


def _of_rate(was: Any, now: Any, step: int) -> list[str]:
    if was.learning_rate is None or now.learning_rate is None:
        return []
    before, after = float(was.learning_rate(step - 1)), float(now.learning_rate(step))
    return [f"the learning rate goes on at {after:.3g}, after {before:.3g}"]


def _in_percent(tables: dict[str, Any], was: int, now: int) -> list[str]:
    found = [(k, v) for k, v in flat(tables) if isinstance(v, str) and v.rstrip().endswith("%")]
    if not found:
        return []
    listed = ", ".join(f"{key} = {value}" for key, value in found)
    return [f"lengths in % are of {now:,} steps, and were of {was:,}: {listed}"]
