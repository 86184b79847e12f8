"""The data that a configuration names, split and sized, and the steps that it makes."""

import functools
import inspect
import os
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.config.optimizer import Length
from jaxopt_lab.config.parse import ConfigError
from jaxopt_lab.config.schema import Choice, Config
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.config.values import in_steps
from jaxopt_lab.data import Dataset
from jaxopt_lab.engine import channel_statistics

Split = dict[str, np.ndarray]

# The held-out samples are a property of the data set, the same for every seed of a run.
SPLIT_SEED = 0

MOST_STEPS = 2**31 - 1  # steps are counted in int32


class Source(NamedTuple):
    """What a configuration reads and counts, whatever its rates and strengths are.

    Attributes:
      train, validation, test: raw splits on the host; `validation` may be None.
      classes: names of the classes.
      mean, std: of the training split's channels, (C,).
      model: given in place of the configuration's; None for that one.
      batch_size: rows a step.
    """

    train: Split
    validation: Split | None
    test: Split
    classes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    model: Any
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the training split."""
        return len(self.train["y"]) // self.batch_size


def read(
    config: Config, *, data_dir: str | os.PathLike[str] | None = None, model: Any = None
) -> Source:
    """The first half of `build.build`: the data, split and sized."""
    dataset = load_dataset(config.data.source, data_dir)
    rebuilds = config.data.reconstruct
    if not dataset.classes and not rebuilds:
        text = "has no classes to train a network on; solve it with: jaxopt-lab linear CONFIG"
        raise ConfigError("configuration", [("data.name", f"{config.data.source.name} {text}")])
    train, validation = split_off(dataset.train, config.data.validation)
    train, batch_size = sized(train, config)
    test = dataset.test
    if rebuilds:
        train, test = rebuilding(train), rebuilding(test)
        validation = validation and rebuilding(validation)
    mean, std = channel_statistics(train["x"])
    return Source(train, validation, test, dataset.classes, mean, std, model, batch_size)


def length_of(config: Config, source: Source) -> Length:
    """What turns a length of a file into steps; "100%" is the whole run.

    Raises:
      ConfigError: where the run has more steps than can be counted.
    """
    epochs, steps = config.train.epochs, config.train.steps
    total = steps if steps is not None else max(1, round((epochs or 0) * source.steps_per_epoch))
    if total > MOST_STEPS:
        fault = f"{total:,} steps are more than a run can count, {MOST_STEPS:,}"
        raise ConfigError("configuration", [("train", fault)])
    return functools.partial(in_steps, total=total, steps_per_epoch=source.steps_per_epoch)


def load_dataset(source: Choice, data_dir: str | os.PathLike[str] | None) -> Dataset:
    """Read the data set of a file, from `data_dir` where it lies in one."""
    loader = FAMILIES["data"].functions[source.name]
    given = {"data_dir": data_dir} if "data_dir" in inspect.signature(loader).parameters else {}
    return loader(**given, **source.arguments)


def rebuilding(split: Split) -> Split:
    """The split with its own pixels, in [0, 1] and flat, as labels."""
    images = split["x"]
    unit = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
    return split | {"y": unit.reshape(len(images), -1)}


def split_off(train: Split, share: float) -> tuple[Split, Split | None]:
    """What remains of the training split, and a random share of it for validation."""
    if share == 0:
        return train, None
    n = len(train["y"])
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    held = max(1, round(share * n))
    if held >= n:
        fault = f"{share} of {n} samples leaves none to train on; lower it"
        raise ConfigError("configuration", [("data.validation", fault)])
    take = lambda rows: {k: v[rows] for k, v in train.items()}  # noqa: E731
    return take(order[held:]), take(order[:held])


def sized(train: Split, config: Config) -> tuple[Split, int]:
    """The training split limited to `train_size`, and the batch size as a number."""
    n = len(train["y"])
    size = config.data.train_size or n
    if size > n:
        fault = f"{size} is more than the {n} training samples that there are"
        raise ConfigError("configuration", [("data.train_size", fault)])
    batch = size if config.data.batch_size == "full" else config.data.batch_size
    if batch > size:
        fault = f'{batch} is more than the {size} training samples; "full" takes all of them'
        raise ConfigError("configuration", [("data.batch_size", fault)])
    return {k: v[:size] for k, v in train.items()}, batch
