"""`jaxopt-lab find-lr`: Smith's range test over several seeds at once."""

import dataclasses
import os
import pathlib
import re
import tomllib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Choice, Config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import batch_shapes, make_run_steps
from jaxopt_lab.engine.checkpoint import write_atomically
from jaxopt_lab.run.progress import Progress
from jaxopt_lab.sweeps import (
    device_mesh,
    diverged_at,
    over_runs,
    range_test_rates,
    replicated,
    runs_at_once,
    smoothed_losses,
    some_devices,
    spread,
    steepest,
    valley,
)

CHUNK = 20  # steps between two looks at whether every seed has diverged


class RangeTest(NamedTuple):
    """What a range test found.

    Attributes:
      rates: (steps,).
      losses, smooth: (seeds, steps), NaN from where a seed diverged.
      valley, steepest: the suggestions, the median over the seeds; NaN where there are none.
    """

    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    valley: float
    steepest: float


def find_lr(
    config: Config | str | os.PathLike[str],
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    seeds: int = 4,
    data_dir: str | os.PathLike[str] | None = None,
    model: Any = None,
    progress: bool = True,
) -> RangeTest:
    """Train a few seeds with a rate that grows until the loss diverges.

    The configuration's own schedule is left out, and of its controls all but the clipping.

    Args:
      config: from `load_config`, or the path of a TOML file.
      low, high: the first and the last rate.
      steps: how many, >= 10.
      seeds: runs, with the seeds `seed`, `seed + 1` and on, all at once.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      model: a model to train in place of the configuration's, as of `train`.
      progress: whether to draw it.

    Returns:
      A `RangeTest`.

    Raises:
      InputError: where the range is empty, or the optimizer takes no rate.

    Reference: Smith, 2017, https://arxiv.org/abs/1506.01186.
    """
    if not 0 < low < high < float("inf"):
        raise InputError(f"find-lr: needs 0 < low < high, got low = {low}, high = {high}")
    if steps < 10 or seeds < 1:
        raise InputError(f"find-lr: needs steps >= 10 and seeds >= 1, got {steps} and {seeds}")
    if isinstance(config, str | os.PathLike):
        config = load_config(config)
    name = config.optimizer.name
    if "learning_rate" not in FAMILIES["optimizer"].arguments(name):
        raise InputError(f"find-lr: {name} takes no learning rate: there is nothing to find")
    see = Progress(show=progress)
    config = _prepared(config, low, steps)
    rates = range_test_rates(low, high, steps)
    mesh = device_mesh(some_devices(None))
    source = read(config, data_dir=data_dir, model=model)
    grows = lambda step: (high / low) ** (jnp.asarray(step, jnp.float32) / (steps - 1))  # noqa: E731
    experiment = assemble(config, source, schedule=grows)
    run_steps = make_run_steps(experiment.step, experiment.batch_size, CHUNK)
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    batch = batch_shapes(experiment.train, experiment.batch_size)
    at_once = runs_at_once("auto", experiment.step, state, batch)
    start = over_runs(lambda seed: experiment.init(jax.random.key(seed)), mesh, at_once, once=True)
    advance = over_runs(run_steps, mesh, at_once, donate=True)
    data = replicated(experiment.train, mesh)
    losses = np.full((seeds, steps), np.nan)
    with see.waiting(f"{steps} steps from {low:g} to {high:g}, {seeds} seeds ..."):
        states = start(spread(np.arange(config.seed, config.seed + seeds, dtype=np.uint32), mesh))
        for at in range(0, steps, CHUNK):
            count = min(CHUNK, steps - at)
            states, rows = advance(states, data, np.int32(at), np.int32(count))
            losses[:, at : at + count] = np.asarray(rows["loss"])[:seeds, :count]
            smooth = smoothed_losses(losses)
            ends = [diverged_at(line[: at + count]) for line in smooth]
            if max(ends) < at + count:
                break
    for line, raw, end in zip(smooth, losses, ends, strict=True):
        line[end:], raw[end:] = np.nan, np.nan
    # The average of the first few losses is their noise.
    begin = steps // 10
    falls = [(rates[begin:e], line[begin:e]) for line, e in zip(smooth, ends, strict=True)]
    found = [(valley(*fall), steepest(*fall)) for fall in falls]
    best = [_median(column) for column in np.transpose(found)]
    see.columns(
        "suggested learning rates, the median over the seeds",
        ["rule", "learning rate", "by seed"],
        [
            [rule, f"{value:.3g}", "  ".join(f"{one[k]:.2g}" for one in found)]
            for k, (rule, value) in enumerate(zip(("valley", "steepest"), best, strict=True))
        ],
    )
    return RangeTest(rates, losses, smooth, *best)


def _median(rates: np.ndarray) -> float:
    there = rates[np.isfinite(rates)]
    return float(np.exp(np.median(np.log(there)))) if len(there) else float("nan")


def draw(test: RangeTest, path: pathlib.Path) -> None:
    """Draw the test to a PNG file."""
    from jaxopt_lab.plots import range_test

    columns = {"rates": test.rates, "smooth": test.smooth, "losses": test.losses}
    suggestions = {"valley": test.valley, "steepest": test.steepest}
    range_test(columns | {"suggestions": suggestions}).savefig(path)


def apply(config: pathlib.Path, rate: float, target: pathlib.Path) -> None:
    """Write a copy of a configuration with another learning rate, its comments kept.

    Raises:
      InputError: where the copy would be the file itself, or the rate has no line to stand in.
    """
    if target.resolve() == config.resolve():
        raise InputError(f"find-lr --apply: {target} is the configuration itself")
    text = config.read_text(encoding="utf-8-sig")
    begin = re.search(r"(?m)^\[optimizer\][^\n]*\n", text)
    head, rest = (text[: begin.end()], text[begin.end() :]) if begin else (text, "")
    own, *others = re.split(r"(?m)^(?=\[)", rest, maxsplit=1)
    line = f"learning_rate = {rate:.3g}"
    own, changed = re.subn(r"(?m)^learning_rate\s*=[^\n#]*?(?=\s*(#|$))", line, own, count=1)
    new = head + ("" if changed else f"{line}\n") + own + "".join(others)
    try:
        written = tomllib.loads(new)["optimizer"]["learning_rate"]
    except (tomllib.TOMLDecodeError, KeyError):
        written = None
    if written != float(f"{rate:.3g}"):
        raise InputError(f"find-lr --apply: {config} has no [optimizer] to put {line!r} into")
    write_atomically(target, new.encode())


def _prepared(config: Config, low: float, steps: int) -> Config:
    optimizer = Choice(config.optimizer.name, {**config.optimizer.arguments, "learning_rate": low})
    return dataclasses.replace(
        config,
        optimizer=optimizer,
        schedule=(),
        control=tuple(c for c in config.control if c.name.startswith("clip_")),
        train=dataclasses.replace(config.train, epochs=None, steps=steps),
    )
