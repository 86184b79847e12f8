"""`jaxopt-lab find-lr`: Smith's range test over several seeds at once."""

import dataclasses
import os
import pathlib
from collections.abc import MutableMapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tomlkit

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import MOST_SEED, Choice
from jaxopt_lab.config.source import RunData, read
from jaxopt_lab.config.start import with_start
from jaxopt_lab.config.tables import FAMILIES, declared_by
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.core.notebook import fragment
from jaxopt_lab.core.types import Model
from jaxopt_lab.engine import Experiment, TrainState, device_mesh, fit, some_devices
from jaxopt_lab.run.records.pictures import write_figure
from jaxopt_lab.run.records.plots_in_notebook import plots
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.session import open_session
from jaxopt_lab.run.terminal.counting import counting
from jaxopt_lab.run.terminal.progress import Progress
from jaxopt_lab.sweeps import (
    Population,
    diverged_at,
    has_fallen,
    range_test_rates,
    smoothed_losses,
    steepest,
    valley,
)

MOST_STEPS, MOST_SEEDS = 1_000_000, 10_000
_WHICH = """\
valley: where the loss has come four fifths of its way down; the one to begin with, and --apply's.
steepest: where it falls fastest, mostly a smaller rate; where the other is not stable."""
STEPS_PER_CHUNK = 20  # between two looks at whether every seed has diverged


class RangeTest(NamedTuple):
    """What a range test found.

    Attributes:
      rates: (steps,).
      losses, smooth: (seeds, steps), NaN from where a seed diverged.
      valley, steepest: the suggestions, the median over the seeds; NaN where the loss of most of
        them does not fall.
    """

    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    valley: float
    steepest: float

    def __repr__(self) -> str:
        seeds, steps = self.losses.shape
        return f"<RangeTest of {steps:,} rates, {seeds:,} seeds: {self._suggests}>"

    def _repr_html_(self) -> str:
        seeds, steps = self.losses.shape
        title = f"Range test of {steps:,} rates, {seeds:,} seeds"
        notes = [] if self.why_none else _WHICH.splitlines()
        drawn = plots(lambda: {"range test": _figure(self)})
        words = f"{self._suggests[:1].upper()}{self._suggests[1:]}."
        return fragment(title, words, [drawn], soft=notes)

    @property
    def _suggests(self) -> str:
        if self.why_none:
            return self.why_none
        return f"valley {_shown(self.valley, 3)}, steepest {_shown(self.steepest, 3)}"

    @property
    def why_none(self) -> str | None:
        """Why there are no suggestions, in words; None where there are."""
        if np.isfinite(self.valley):
            return None
        begin = len(self.rates) // 10
        if np.isnan(self.smooth[:, begin]).all():
            return f"every seed diverges at {self.rates[0]:g} already: try a smaller --low"
        return (
            f"the loss does not fall between {self.rates[0]:g} and {self.rates[-1]:g} by more than "
            "its noise: try a higher --high, and look at the picture"
        )


def find_lr(
    config: Config | str | os.PathLike[str],
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    seeds: int = 4,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
    progress: bool = True,
) -> RangeTest:
    """Train a few seeds with a rate that grows until the loss diverges.

    The configuration's own schedule is left out, and of its controls all but those that act alike
    at every rate, such as clipping.

    Args:
      config: from `load_config`, or the path of a TOML file.
      low, high: the first and the last rate.
      steps: how many, >= 10.
      seeds: runs, with the seeds `seed`, `seed + 1` and on, all at once.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: in place of the data set that the configuration names: a `data.Dataset`, arrays
        `(x, y)`, splits by name, or a source of samples; all that `data.as_dataset` takes.
      model: a model to train in place of the configuration's, as of `train`.
      progress: whether to draw it.

    Returns:
      A `RangeTest`.

    Raises:
      InputError: where the range is empty, or the optimizer takes no rate.

    Reference: Smith, 2017, https://arxiv.org/abs/1506.01186.
    """
    if not (0 < low < high < float("inf") and high / low < 1e38):  # of the factor's float32
        wanted = "0 < low < high, less than 38 decades apart"
        raise InputError(f"find-lr: needs {wanted}, got low = {low}, high = {high}")
    if not (10 <= steps <= MOST_STEPS and 1 <= seeds <= MOST_SEEDS):
        wanted = f"steps >= 10 up to {MOST_STEPS:,} and seeds >= 1 up to {MOST_SEEDS:,}"
        raise InputError(f"find-lr: needs {wanted}, got {steps:,} and {seeds:,}")
    if isinstance(config, str | os.PathLike):
        config = load_config(config)
    if config.seed + seeds - 1 > MOST_SEED:
        text = f"{seeds} seeds from {config.seed} go past {MOST_SEED}"
        raise InputError(f"find-lr: {text}; begin with a smaller one, --set seed=0")
    name = config.optimizer.name
    if "learning_rate" not in FAMILIES["optimizer"].arguments(name):
        raise InputError(f"find-lr: {name} takes no learning rate: there is nothing to find")
    with open_session(RunFolder, config, None, show=progress) as session:
        source = read(config, data_dir=data_dir, model=model, data=data)
        source = with_start(config, source)
        return _range_test(session.terminal, config, source, low, high, steps, seeds)


def _range_test(
    terminal: Progress,
    config: Config,
    source: RunData,
    low: float,
    high: float,
    steps: int,
    seeds: int,
) -> RangeTest:
    """Train the seeds, all at once, until each has diverged, and print what they suggest."""
    growing = _Growing(_prepared(config, low, steps), source, high / low, steps, seeds)
    program = Population(growing, device_mesh(some_devices(None)), "auto")
    rates, losses = range_test_rates(low, high, steps), np.full((seeds, steps), np.nan)
    text = f"{seeds} seeds from {low:g} to {high:g}"
    with counting(terminal, steps, text) as advance:
        chunks = fit(
            program,
            program.start(range(seeds)),
            start=0,
            total=steps,
            evaluate_every=None,
            steps_per_chunk=STEPS_PER_CHUNK,
            donate=True,
        )
        for chunk in chunks:
            losses[:, chunk.start : chunk.end] = chunk.rows["loss"]
            advance(chunk.end - chunk.start)
            smooth = smoothed_losses(losses)
            ends = [diverged_at(line[: chunk.end]) for line in smooth]
            if max(ends) < chunk.end:
                break
    for line, raw, end in zip(smooth, losses, ends, strict=True):
        line[end:], raw[end:] = np.nan, np.nan
    begin = steps // 10  # the average of the first few losses is their noise
    found = [_suggested(rates, *lines, begin) for lines in zip(losses, smooth, ends, strict=True)]
    best = [_median(column) for column in np.transpose(found)]
    terminal.columns(
        "suggested learning rates, the median over the seeds",
        ["rule", "learning rate", "by seed"],
        [
            [rule, _shown(value, 3), "  ".join(_shown(one[k], 2) for one in found)]
            for k, (rule, value) in enumerate(zip(("valley", "steepest"), best, strict=True))
        ],
    )
    test = RangeTest(rates, losses, smooth, *best)
    if why := test.why_none:
        terminal.say(f"no suggestion: {why}")
        return test
    terminal.say(_WHICH)
    if np.isfinite(smooth[:, -1]).all() and np.argmin(np.mean(smooth, 0)) >= steps - begin:
        terminal.say(f"the loss still falls at {high:g}: a higher --high may find a better rate")
    return test


def _suggested(
    rates: np.ndarray, losses: np.ndarray, smooth: np.ndarray, end: int, begin: int
) -> tuple[float, float]:
    """The rates that a seed suggests, by each rule; NaN where its loss does not fall."""
    if not has_fallen(losses[:end], smooth[:end], begin):
        return float("nan"), float("nan")
    falling = rates[begin:end], smooth[begin:end]
    return valley(*falling, losses[:begin].mean()), steepest(*falling)


def _shown(rate: float, digits: int) -> str:
    return f"{rate:.{digits}g}" if np.isfinite(rate) else "-"


class _Growing:
    """Runs of a few seeds whose rate grows by a factor in all, as `Variants`."""

    def __init__(self, config: Config, source: RunData, factor: float, steps: int, seeds: int):
        self.values = (np.arange(config.seed, config.seed + seeds, dtype=np.uint32),)

        def grows(step):
            return factor ** (jnp.asarray(step, jnp.float32) / (steps - 1))

        self._experiment = assemble(config, source, schedule=grows)

    def first(self) -> Experiment:
        return self._experiment

    def experiment(self, values: Any) -> Experiment:
        del values
        return self._experiment

    def init(self, values: Any) -> TrainState:
        (seed,) = values
        return self._experiment.init(jax.random.key(seed))


def _median(rates: np.ndarray) -> float:
    there = rates[np.isfinite(rates)]
    if 2 * len(there) < len(rates) or not len(there):
        return float("nan")
    return float(np.exp(np.median(np.log(there))))


def draw(test: RangeTest, path: pathlib.Path) -> None:
    """Draw the test to a PNG file."""
    write_figure(path, _figure(test))


def _figure(test: RangeTest) -> Any:
    from jaxopt_lab.plots import range_test  # here: matplotlib takes long to import

    columns = {"rates": test.rates, "smooth": test.smooth, "losses": test.losses}
    suggestions = {"valley": test.valley, "steepest": test.steepest}
    return range_test(columns | {"suggestions": suggestions})


def apply(config: pathlib.Path, rate: float, target: pathlib.Path) -> None:
    """Write a copy of a configuration with another learning rate, its comments kept.

    Raises:
      InputError: where the copy would be the file itself, or there is no optimizer.
    """
    if target.resolve() == config.resolve():
        raise InputError(
            f"find-lr --apply: {target} is the configuration itself: give another file"
        )
    document = tomlkit.parse(config.read_bytes().decode("utf-8-sig"))
    optimizer, written = document.get("optimizer"), float(f"{rate:.3g}")
    if not isinstance(optimizer, MutableMapping):
        line = f"learning_rate = {written}"
        raise InputError(f"find-lr --apply: {config} has no [optimizer] to put {line!r} into")
    optimizer["learning_rate"] = written
    write_atomically(target, document.as_string().encode())


def _prepared(config: Config, low: float, steps: int) -> Config:
    optimizer = Choice(config.optimizer.name, {**config.optimizer.arguments, "learning_rate": low})
    return dataclasses.replace(
        config,
        optimizer=optimizer,
        schedule=(),
        control=tuple(c for c in config.control if declared_by("control", c).any_rate),
        train=dataclasses.replace(config.train, epochs=None, steps=steps),
    )
