"""The data that a configuration names, split and sized, and the steps that it makes."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.optimizer import Length
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice, DataConfig
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.config.values import in_steps
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import MOST_COUNT
from jaxopt_lab.core.rows import bounds, chunks, is_lazy, take_rows, workers_of
from jaxopt_lab.core.signatures import signature_of
from jaxopt_lab.core.types import Model, Split
from jaxopt_lab.data import Dataset, as_dataset, targets_of
from jaxopt_lab.data.feature_names import feature_names
from jaxopt_lab.data.splitting import Splits, read_if_small, split
from jaxopt_lab.engine import Batches, channel_statistics

IMAGE_RANK = 3  # of a sample (H, W, C)


@dataclasses.dataclass(frozen=True, eq=False)
class RunData:
    """What a configuration reads and counts, whatever its rates and strengths are.

    Attributes:
      signature: of the data.
      drawn: how batches are.
      model: given in place of the configuration's; None for that one.
      train, validation, test: raw splits on the host; `validation` may be None, and all of them
        where a run is read without its data.
      parts: the names or the row numbers of the samples in `test` and `validation`.
      notes: what there is to say of the data.
      start: arrays that the run begins with, a `config.start.Start`; None for those drawn.
    """

    signature: Signature
    drawn: Batches
    model: Model | None = None
    train: Split | None = None
    validation: Split | None = None
    test: Split | None = None
    parts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    start: Any = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of the training split."""
        return self.drawn.steps(self.signature.samples)

    @property
    def batch_size(self) -> int:
        """Rows a step."""
        return self.drawn.size

    @functools.cached_property
    def train_sample(self) -> Split | None:
        """As many samples of training as are held out, evenly spaced; None where none are."""
        if self.train is None or self.validation is None:
            return None
        samples = len(self.train["y"])
        size = min(samples, len(self.validation["y"]))
        rows = np.linspace(0, samples - 1, size).astype(np.int64)
        return read_if_small({name: take_rows(v, rows) for name, v in self.train.items()})

    @functools.cached_property
    def no_images(self) -> str | None:
        """Why the samples are not images, in words; None where they are, as far as is known."""
        shape, dtype = self.signature.x_shape, jnp.dtype(self.signature.x_dtype)
        if len(shape) != IMAGE_RANK:
            return f"have shape {shape}"
        if dtype == jnp.uint8:
            return None
        if not jnp.issubdtype(dtype, jnp.floating):
            return f"are {dtype}, where uint8 or floats in [0, 1] have a white"
        low, high = bounds(self.train["x"]) if self.train else (0, 1)
        return None if low >= 0 and high <= 1 else f"are in [{low:g}, {high:g}] and not in [0, 1]"


def read(
    config: Config,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    model: Model | None = None,
    data: Any = None,
) -> RunData:
    """The first half of `build.build`: the data, split and sized.

    Where `data` is given it takes the place of what the configuration names; see `as_dataset`.
    """
    dataset = load_dataset(config.data.source, data_dir) if data is None else as_dataset(data)
    found = split_dataset(config.data, dataset)
    kind = "numbers" if config.data.reconstruct else targets_of(dataset)
    if config.data.reconstruct:
        found = _changed(found, lambda part: part | {"y": part["x"]})
    if kind == "numbers":
        place = "data.reconstruct" if config.data.reconstruct else "data"
        found = _changed(found, functools.partial(_with_numbers, place=place))
    train, validation, test = found.train, found.validation, found.test
    batch_size = _batch_size(config, len(train["y"]))
    if "weight" in train:  # of mean 1, so that a rate means what it does without
        train["weight"] = (train["weight"] / train["weight"].mean()).astype(np.float32)
    mean, std = channel_statistics(train["x"])
    finite = np.isfinite(mean) & np.isfinite(std)
    if not finite.all():
        raise _not_finite(finite, "x", dataset)
    classes = () if config.data.reconstruct else dataset.classes
    signature = Signature(
        x_shape=train["x"].shape[1:],
        x_dtype=train["x"].dtype.name,
        y_shape=train["y"].shape[1:],
        y_dtype=train["y"].dtype.name,
        classes=classes,
        mean=mean,
        std=std,
        samples=len(train["y"]),
        class_counts=_class_counts(train, len(classes)),
        targets=kind,
        columns=dataset.columns,
        fill=found.fill,
        fingerprint=dataset.fingerprint,
        origin="config" if data is None else "python",
    )
    return RunData(
        signature,
        _drawn(config, batch_size),
        model,
        train,
        validation,
        test,
        found.record,
        (*dataset.notes, *found.notes),
    )


def _class_counts(train: Split, classes: int) -> tuple[float, ...]:
    """The sums of the weights of each class; of labels those of the samples that have each."""
    labels, weight = train["y"], train.get("weight")
    if not classes:
        return ()
    if labels.ndim == 1:
        counts = np.bincount(labels, weight, classes)
    else:
        counts = labels.sum(0) if weight is None else weight @ labels
    return tuple(float(count) for count in counts)


def without_data(config: Config, signature: Signature, model: Model | None = None) -> RunData:
    """The source of a run whose data is not read: all that its objects need, and no splits."""
    return RunData(signature, _drawn(config, _batch_size(config, signature.samples)), model)


def length_of(config: Config, source: RunData) -> Length:
    """What turns a length of a file into steps; "100%" is the whole run.

    Raises:
      ConfigError: where the run has more steps than can be counted.
    """
    epochs, steps = config.train.epochs, config.train.steps
    total = (epochs or 0) * source.steps_per_epoch if steps is None else steps
    if total > MOST_COUNT:
        asked = (
            f"{epochs:g} epochs of {source.steps_per_epoch:,}" if steps is None else f"{steps:,}"
        )
        fault = f"{asked} steps are more than a run can count, {MOST_COUNT:,}"
        raise ConfigError("configuration", [("train", fault)])
    total = max(1, round(total))
    return functools.partial(in_steps, total=total, steps_per_epoch=source.steps_per_epoch)


def load_dataset(source: Choice, data_dir: str | os.PathLike[str] | None) -> Dataset:
    """Read the data set of a file, from `data_dir` where it lies in one."""
    taken = signature_of(FAMILIES["data"].functions[source.name]).parameters
    given = {"data_dir": data_dir} if "data_dir" in taken else {}
    return FAMILIES["data"].make(source.name, given | dict(source.arguments))


def split_dataset(config: DataConfig, dataset: Dataset, *, finite: bool = True) -> Splits:
    """A data set in the parts that `[data]` asks for; `finite` to hold x to finite numbers.

    Raises:
      ConfigError: where these do not fit it.
      InputError: where x is not finite.
    """
    try:
        found = split(
            dataset,
            test=config.test,
            validation=config.validation,
            train_size=config.train_size,
            seed=config.seed,
        )
    except ArgumentError as error:
        faults = [(f"data.{name}", text) for name, text in error.faults.items()]
        raise ConfigError("configuration", faults) from None
    if finite:
        _require_finite(found, dataset)
    return found


def _changed(found: Splits, change: Callable[[Split], Split]) -> Splits:
    """Each part of a data set, changed."""
    held_out = found.validation and change(found.validation)
    return found._replace(train=change(found.train), validation=held_out, test=change(found.test))


def _with_numbers(split: Split, place: str) -> Split:
    """The split with targets (N,) or (N, K) float32; of images the pixels, in [0, 1] and flat."""
    y = split["y"]
    if is_lazy(y):
        size = y.nbytes / 2**30
        fault = f"needs targets in memory; these, {size:.1f} GiB, stay on the disk: set train_size"
        raise ConfigError("configuration", [(place, fault)])
    unit = y.astype(np.float32) / (255 if y.dtype == np.uint8 else 1)
    return split | {"y": unit if y.ndim == 1 else unit.reshape(len(y), -1)}


def _require_finite(found: Splits, dataset: Dataset) -> None:
    """Make sure that x is finite; a training split on the disk is left to its statistics."""
    for part in ("train", "validation", "test"):
        x = (getattr(found, part) or {}).get("x")
        if x is None or (part == "train" and is_lazy(x)):
            continue
        if x.dtype == np.uint8 and workers_of(x) is None:  # what is streamed is decoded once
            continue
        if not np.isfinite(bounds(x)).all():
            pieces = (piece for piece in chunks(x) if not np.isfinite(piece).all())
            raise _not_finite(np.isfinite(next(pieces)), f"x of the {part} split", dataset)


def _not_finite(finite: np.ndarray, what: str, dataset: Dataset) -> InputError:
    """Where x is not finite: the place on its last axis, and the row as the data set has it."""
    column, row = int(np.argwhere(~finite)[0][-1]), ""
    for suffix, part in {"": dataset.train, "_test": dataset.test or {}}.items():
        start = 0
        for piece in chunks(part["x"]) if "x" in part else ():
            of_column = piece[..., column].reshape(len(piece), -1)
            wrong = ~np.isfinite(of_column) if dataset.fill is None else np.isinf(of_column)
            if not row and wrong.any():
                row = f", row {start + int(np.argwhere(wrong)[0][0])} of x{suffix}"
            start += len(piece)
    names = feature_names(dataset.columns)
    place = repr(names[column]) if names else f"{column} of its last axis"
    return InputError(
        f"{what} holds NaN or infinite values, in column {place}{row} for one: leave these "
        "samples out, or fill them"
    )


def _drawn(config: Config, batch_size: int) -> Batches:
    return Batches(batch_size, config.data.bootstrap, config.train.last_batch == "pad")


def _batch_size(config: Config, samples: int) -> int:
    batch = samples if config.data.batch_size == "full" else config.data.batch_size
    if batch > samples:
        fault = f'{batch} is more than the {samples} training samples; "full" takes all of them'
        raise ConfigError("configuration", [("data.batch_size", fault)])
    if config.train.microbatches > batch:
        fault = f"{config.train.microbatches:,} parts are more than the {batch:,} rows of a batch"
        raise ConfigError("configuration", [("train.microbatches", fault)])
    return batch
