"""A checked configuration to the objects that train: here names become functions, only here."""

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_lab.config.augmentation import build_attack, build_augment, build_consistency
from jaxopt_lab.config.chain import (
    add_controls,
    applied_rate,
    evaluated,
    names_of,
)
from jaxopt_lab.config.curvature import build_curvature
from jaxopt_lab.config.optimizer import build_optimizer, build_schedule
from jaxopt_lab.config.parse import ConfigError
from jaxopt_lab.config.schema import Choice, Config
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.config.values import in_steps
from jaxopt_lab.control import has_stopped
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Params, Schedule
from jaxopt_lab.data import Dataset
from jaxopt_lab.engine import (
    TrainState,
    channel_statistics,
    in_batches,
    init_state,
    make_evaluate,
    make_normalize,
    make_step,
)
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.step import Step
from jaxopt_lab.losses import METRICS
from jaxopt_lab.nn import lsuv

Split = dict[str, np.ndarray]

# The held-out samples are a property of the data set, the same for every seed of a run.
SPLIT_SEED = 0

LSUV_IMAGES = 256

# Losses of outputs against an image.
REBUILDING = ("logistic", "squared_error")
IMAGE_RANK = 4  # of a batch (B, H, W, C)

MOST_STEPS = 2**31 - 1  # steps are counted in int32


class Experiment(NamedTuple):
    """All that a configuration means, ready to compile.

    Attributes:
      config: what it was built from.
      train, validation, test: raw splits on the host; `validation` may be None.
      classes: names of the classes.
      model: with `init` and `apply`.
      optimizer: the whole chain.
      evaluated: `(params, opt_state) -> params` to evaluate: not those of training with some
        optimizers.
      learning_rate: `step -> scalar` of the schedule; None where the optimizer takes no rate.
      metrics: names of what is measured beside the loss, such as "accuracy".
      curvature: `(state, batch) -> Curvature`, where the optimizer asks for it.
      normalize: raw images to the model's input.
      init: `key -> TrainState`, pure.
      step: `(state, batch) -> (state, metrics)`, pure.
      measure: `in_loop, model -> evaluate(params, model_state, batches)`.
      batch_size: rows a step.
      steps_per_epoch, total_steps, evaluate_every, checkpoint_every: in steps.
    """

    config: Config
    train: Split
    validation: Split | None
    test: Split
    classes: tuple[str, ...]
    model: Any
    optimizer: optax.GradientTransformationExtraArgs
    evaluated: Callable[[Params, Any], Params]
    learning_rate: Schedule | None
    metrics: tuple[str, ...]
    curvature: CurvatureOf | None
    normalize: Callable[[jax.Array], jax.Array]
    init: Callable[[jax.Array], TrainState]
    step: Step
    measure: Callable[[bool, Any], Callable[..., dict[str, jax.Array]]]
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    evaluate_every: int
    checkpoint_every: int

    def batches(self, split: Split) -> Split:
        """A split as its evaluation wants it."""
        size = min(self.config.train.evaluation_batch_size, len(split["label"]))
        return in_batches(split, size)


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


def build(
    config: Config, *, data_dir: str | os.PathLike[str] | None = None, model: Any = None
) -> Experiment:
    """Read the data and make every object that a configuration names.

    Args:
      config: from `load_config`.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      model: used in place of the configuration's; with `init` and `apply` as Linen modules have.

    Returns:
      An `Experiment`.

    Raises:
      InputError: where the data is missing, or settings do not fit it or each other.
    """
    return assemble(config, read(config, data_dir=data_dir, model=model))


def read(
    config: Config, *, data_dir: str | os.PathLike[str] | None = None, model: Any = None
) -> Source:
    """The first half of `build`: the data, split and sized."""
    dataset = load_dataset(config.data.source, data_dir)
    rebuilds = config.data.target == "image"
    if not dataset.classes and not rebuilds:
        text = "has no classes to train a network on; solve it with: jaxopt-lab linear CONFIG"
        raise ConfigError("configuration", [("data.name", f"{config.data.source.name} {text}")])
    train, validation = split_off(dataset.train, config.data.validation)
    train, batch_size = sized(train, config)
    test = dataset.test
    if rebuilds:
        train, test = rebuilding(train), rebuilding(test)
        validation = validation and rebuilding(validation)
    mean, std = channel_statistics(train["image"])
    return Source(train, validation, test, dataset.classes, mean, std, model, batch_size)


def assemble(config: Config, source: Source, *, schedule: Schedule | None = None) -> Experiment:
    """The second half of `build`: the objects; a `schedule` is in place of the configuration's.

    Does no work on the data, and takes traced arrays in the place of the configuration's numbers
    where the functions that they are given to do: so one program serves many configurations.
    """
    train, validation, batch_size = source.train, source.validation, source.batch_size
    model = source.model
    rebuilds = config.data.target == "image"
    classes = train["label"].shape[1] if rebuilds else len(source.classes)
    measured = {} if rebuilds else METRICS
    if rebuilds and config.loss.name not in REBUILDING:
        fault = f'has no meaning for data.target = "image"; one of {", ".join(REBUILDING)}'
        raise ConfigError("configuration", [("loss.name", f"{config.loss.name} {fault}")])
    total, steps_per_epoch = run_length(config, source)
    length = functools.partial(in_steps, total=total, steps_per_epoch=steps_per_epoch)

    if schedule is None:
        schedule = build_schedule(config.schedule, length, total)
    optimizer, learning_rate = build_optimizer(config.optimizer, schedule, length)
    watched = ["loss", *measured]
    if validation is not None:
        robust = [f"robust_{name}" for name in measured] if config.adversary else []
        watched += [f"val_{name}" for name in [*watched, *robust]]
    optimizer = add_controls(optimizer, config, length, watched)
    if model is None:
        model = _call("model", config.model, classes=classes)
        if train["image"].ndim != IMAGE_RANK:
            check_tabular(config, train["image"].shape[1:])
            check_model(model, (batch_size, *train["image"].shape[1:]), classes)
    else:
        check_model(model, (batch_size, *train["image"].shape[1:]), classes)
    loss = functools.partial(FAMILIES["loss"].functions[config.loss.name], **config.loss.arguments)
    normalize = make_normalize(source.mean, source.std)
    attack = build_attack(config.adversary)
    metrics = {"loss": loss, **measured}
    dtype = jnp.dtype(config.train.dtype)
    shape = train["image"].shape[1:]

    adjust = None
    if config.train.lsuv:
        if not isinstance(model, linen.Module):
            fault = f"needs a Linen module, whose layers it looks into, not {type(model).__name__}"
            raise ConfigError("configuration", [("train.lsuv", fault)])
        first = normalize(train["image"][:LSUV_IMAGES])
        adjust = lambda variables, key: lsuv(model, variables, first, key)  # noqa: E731

    def init(key: jax.Array) -> TrainState:
        x = jnp.zeros((1, *shape), jnp.float32)
        held_out = [name for name in watched if name.startswith("val_")]
        return init_state(key, model, optimizer, x, evaluation=held_out, adjust=adjust)

    curvature = build_curvature(config, model, loss, normalize=normalize, dtype=dtype)

    return Experiment(
        config=config,
        train=train,
        validation=validation,
        test=source.test,
        classes=source.classes,
        model=model,
        optimizer=optimizer,
        evaluated=evaluated(config),
        learning_rate=learning_rate,
        metrics=tuple(measured),
        curvature=curvature,
        normalize=normalize,
        init=init,
        step=make_step(
            model,
            loss,
            optimizer,
            normalize=normalize,
            augment=build_augment(config, classes, source.mean),
            attack=attack,
            consistency=build_consistency(config.consistency),
            penalty=build_penalty(config.penalty),
            curvature=curvature,
            metrics=measured,
            learning_rate=applied_rate(config, learning_rate),
            stopped=has_stopped if "early_stopping" in names_of(config.control) else None,
            dtype=dtype,
        ),
        measure=lambda in_loop, model: make_evaluate(
            model,
            metrics,
            normalize=normalize,
            dtype=dtype,
            in_loop=in_loop,
            attack=attack,
            attack_key=stream_key(jax.random.key(config.seed), Stream.ADVERSARY),
        ),
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total,
        evaluate_every=length(config.train.evaluate_every),
        checkpoint_every=length(config.train.checkpoint_every),
    )


def run_length(config: Config, source: Source) -> tuple[int, int]:
    """The steps of the whole run and of an epoch.

    Raises:
      ConfigError: where they are more than can be counted.
    """
    steps_per_epoch = len(source.train["label"]) // source.batch_size
    epochs, steps = config.train.epochs, config.train.steps
    total = steps if steps is not None else max(1, round((epochs or 0) * steps_per_epoch))
    if total > MOST_STEPS:
        fault = f"{total:,} steps are more than a run can count, {MOST_STEPS:,}"
        raise ConfigError("configuration", [("train", fault)])
    return total, steps_per_epoch


def build_penalty(chosen: Sequence[Choice]) -> Callable[[Params], jax.Array] | None:
    """The sum of the penalties of a file; None where it has none."""
    if not chosen:
        return None
    penalties = [
        functools.partial(FAMILIES["penalty"].functions[c.name], **c.arguments) for c in chosen
    ]
    return lambda params: jnp.stack([penalty(params) for penalty in penalties]).sum()


def load_dataset(source: Choice, data_dir: str | os.PathLike[str] | None) -> Dataset:
    """Read the data set of a file, from `data_dir` where it lies in one."""
    loader = FAMILIES["data"].functions[source.name]
    given = {"data_dir": data_dir} if "data_dir" in inspect.signature(loader).parameters else {}
    return loader(**given, **source.arguments)


def rebuilding(split: Split) -> Split:
    """The split with its own pixels, in [0, 1] and flat, as labels."""
    images = split["image"]
    unit = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
    return split | {"label": unit.reshape(len(images), -1)}


def check_model(model: Any, shape: tuple[int, ...], classes: int) -> None:
    """Hold a user's own model to the call convention, without running it.

    Raises:
      InputError: where it cannot be called, or gives something else than a row of logits a sample.
    """
    wanted = "init(rngs, x, train=...) and apply(variables, x, train=...), as Linen modules have"
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        raise InputError(f"model: {model!r} must be an object with {wanted}")

    def outputs(key, x):
        return model.apply(model.init(key, x, train=False), x, train=False)

    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    try:
        found = jax.eval_shape(outputs, jax.random.key(0), x)
    except Exception as error:  # whatever the user's own code raises
        text = f"model: {type(model).__name__} failed on inputs {shape}: {error!r}; it needs"
        raise InputError(f"{text} {wanted}") from error
    if getattr(found, "shape", None) != (shape[0], classes):
        raise InputError(
            f"model: {type(model).__name__} gives {found}, expected logits of shape "
            f"{(shape[0], classes)}: the data has {classes} classes"
        )


def check_tabular(config: Config, shape: tuple[int, ...]) -> None:
    """Samples that are no images cannot be augmented as images are.

    Raises:
      ConfigError: naming each table that needs images.
    """
    text = f"needs images (H, W, C), the samples of {config.data.source.name} have shape {shape}"
    named = [(f"augment.{i}", c.name) for i, c in enumerate(config.augment) if c.name != "mixup"]
    if named:
        raise ConfigError("configuration", [(path, f"{name} {text}") for path, name in named])


def split_off(train: Split, share: float) -> tuple[Split, Split | None]:
    """What remains of the training split, and a random share of it for validation."""
    if share == 0:
        return train, None
    n = len(train["label"])
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    held = max(1, round(share * n))
    if held >= n:
        fault = f"{share} of {n} samples leaves none to train on; lower it"
        raise ConfigError("configuration", [("data.validation", fault)])
    take = lambda rows: {k: v[rows] for k, v in train.items()}  # noqa: E731
    return take(order[held:]), take(order[:held])


def sized(train: Split, config: Config) -> tuple[Split, int]:
    """The training split limited to `train_size`, and the batch size as a number."""
    n = len(train["label"])
    size = config.data.train_size or n
    if size > n:
        fault = f"{size} is more than the {n} training samples that there are"
        raise ConfigError("configuration", [("data.train_size", fault)])
    batch = size if config.data.batch_size == "full" else config.data.batch_size
    if batch > size:
        fault = f'{batch} is more than the {size} training samples; "full" takes all of them'
        raise ConfigError("configuration", [("data.batch_size", fault)])
    return {k: v[:size] for k, v in train.items()}, batch


def _call(family: str, chosen: Choice, **given: Any) -> Any:
    return FAMILIES[family].functions[chosen.name](**given, **chosen.arguments)
