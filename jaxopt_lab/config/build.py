"""A checked configuration to the objects that train: here names become functions, only here."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
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
from jaxopt_lab.config.source import Source, Split, length_of, read
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.control import has_stopped
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Params, Schedule
from jaxopt_lab.engine import (
    TrainState,
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

LSUV_IMAGES = 256

# Losses of outputs against an image.
REBUILDING = ("logistic", "squared_error")
IMAGE_RANK = 4  # of a batch (B, H, W, C)


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
        size = min(self.config.train.evaluation_batch_size, len(split["y"]))
        return in_batches(split, size)


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


def assemble(config: Config, source: Source, *, schedule: Schedule | None = None) -> Experiment:
    """The second half of `build`: the objects; a `schedule` is in place of the configuration's.

    Does no work on the data, and takes traced arrays in the place of the configuration's numbers
    where the functions that they are given to do: so one program serves many configurations.
    """
    train, validation, batch_size = source.train, source.validation, source.batch_size
    model = source.model
    rebuilds = config.data.reconstruct
    outputs = train["y"].shape[1] if rebuilds else len(source.classes)
    measured = {} if rebuilds else METRICS
    if rebuilds and config.loss.name not in REBUILDING:
        fault = f"has no meaning for data.reconstruct; one of {', '.join(REBUILDING)}"
        raise ConfigError("configuration", [("loss.name", f"{config.loss.name} {fault}")])
    length = length_of(config, source)
    total = length("100%")

    if schedule is None:
        schedule = build_schedule(config.schedule, length, total)
    optimizer, learning_rate = build_optimizer(config.optimizer, schedule, length)
    watched = ["loss", *measured]
    if validation is not None:
        robust = [f"robust_{name}" for name in measured] if config.adversary else []
        watched += [f"val_{name}" for name in [*watched, *robust]]
    optimizer = add_controls(optimizer, config, length, watched)
    if model is None:
        model = _call("model", config.model, outputs=outputs)
        if train["x"].ndim != IMAGE_RANK:
            check_tabular(config, train["x"].shape[1:])
            check_model(model, (batch_size, *train["x"].shape[1:]), outputs)
    else:
        check_model(model, (batch_size, *train["x"].shape[1:]), outputs)
    loss = functools.partial(FAMILIES["loss"].functions[config.loss.name], **config.loss.arguments)
    normalize = make_normalize(source.mean, source.std)
    attack = build_attack(config.adversary)
    metrics = {"loss": loss, **measured}
    dtype = jnp.dtype(config.train.dtype)
    shape = train["x"].shape[1:]

    adjust = None
    if config.train.lsuv:
        if not isinstance(model, linen.Module):
            fault = f"needs a Linen module, whose layers it looks into, not {type(model).__name__}"
            raise ConfigError("configuration", [("train.lsuv", fault)])
        first = normalize(train["x"][:LSUV_IMAGES])
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
            augment=build_augment(config, outputs, source.mean),
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
        steps_per_epoch=source.steps_per_epoch,
        total_steps=total,
        evaluate_every=length(config.train.evaluate_every),
        checkpoint_every=length(config.train.checkpoint_every),
    )


def build_penalty(chosen: Sequence[Choice]) -> Callable[[Params], jax.Array] | None:
    """The sum of the penalties of a file; None where it has none."""
    if not chosen:
        return None
    penalties = [
        functools.partial(FAMILIES["penalty"].functions[c.name], **c.arguments) for c in chosen
    ]
    return lambda params: jnp.stack([penalty(params) for penalty in penalties]).sum()


def check_model(model: Any, shape: tuple[int, ...], outputs: int) -> None:
    """Hold a user's own model to the call convention, without running it.

    Raises:
      InputError: where it cannot be called, or gives something else than a row of logits a sample.
    """
    wanted = "init(rngs, x, train=...) and apply(variables, x, train=...), as Linen modules have"
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        raise InputError(f"model: {model!r} must be an object with {wanted}")

    def applied(key, x):
        return model.apply(model.init(key, x, train=False), x, train=False)

    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    try:
        found = jax.eval_shape(applied, jax.random.key(0), x)
    except Exception as error:  # whatever the user's own code raises
        text = f"model: {type(model).__name__} failed on inputs {shape}: {error!r}; it needs"
        raise InputError(f"{text} {wanted}") from error
    if getattr(found, "shape", None) != (shape[0], outputs):
        raise InputError(
            f"model: {type(model).__name__} gives {found}, expected outputs of shape "
            f"{(shape[0], outputs)}, as the data needs {outputs} a sample"
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


def _call(family: str, chosen: Choice, **given: Any) -> Any:
    return FAMILIES[family].functions[chosen.name](**given, **chosen.arguments)
