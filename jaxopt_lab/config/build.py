"""A checked configuration to the objects that train."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxopt_lab.config.augmentation import build_attack, build_augment, build_consistency
from jaxopt_lab.config.chain import build_chain
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.curvature import build_curvature
from jaxopt_lab.config.layer_norms import build_meter, may_branch
from jaxopt_lab.config.leaves import leaves
from jaxopt_lab.config.measures import build_loss, build_measures, outputs_for
from jaxopt_lab.config.optimizer import build_schedule
from jaxopt_lab.config.own_step import check_own_augmentations, check_own_step
from jaxopt_lab.config.parameter_groups import find_groups
from jaxopt_lab.config.probe import build_probe
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.source import IMAGE_RANK, RunData, length_of, read
from jaxopt_lab.config.start import adjusting, with_start
from jaxopt_lab.config.tables import FAMILIES, declared_by
from jaxopt_lab.config.weights import build_weights
from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.errors import InputError, told
from jaxopt_lab.core.metrics import ROBUST, held_out
from jaxopt_lab.core.types import Model, Params, Schedule
from jaxopt_lab.engine import (
    Experiment,
    Forward,
    Layout,
    Objective,
    TrainState,
    init_state,
    make_evaluate,
    make_normalize,
    make_prepare,
    make_step,
)
from jaxopt_lab.engine.devices import RUN
from jaxopt_lab.engine.frozen import NOTHING
from jaxopt_lab.engine.gradient import make_gradient
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.nn import as_model, lsuv, refuse_lone_values

LSUV_IMAGES = 256


def build(
    config: Config,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    model: Model | None = None,
    data: Any = None,
) -> Experiment:
    """Read the data and make every object that a configuration names.

    Args:
      config: from `load_config`.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: used in place of what the configuration names; all that `data.as_dataset` takes.
      model: used in place of the configuration's; with `init` and `apply` as Linen modules have.

    Returns:
      An `Experiment`.

    Raises:
      InputError: where the data is missing, or settings do not fit it or each other.
    """
    source = read(config, data_dir=data_dir, model=model, data=data)
    return assemble(config, with_start(config, source))


def assemble(
    config: Config,
    source: RunData,
    *,
    schedule: Schedule | None = None,
    layout: Layout | None = None,
) -> Experiment:
    """The second half of `build`: the objects; a `schedule` is in place of the configuration's.

    With a `layout` parameters that it splits are brought together where the model is applied.

    Does no work on the data, which may be absent, and takes traced arrays in the place of the
    configuration's numbers where the functions that they are given to do: so one program serves
    many configurations.
    """
    signature = source.signature
    outputs = outputs_for(signature)
    loss = build_loss(config, signature, outputs)
    measures = build_measures(config, signature, outputs)
    objective = Objective(
        loss,
        weigh=build_weights(config, signature),
        consistency=build_consistency(config.consistency),
        penalty=build_penalty(config.penalty),
        measures=measures.each,
    )
    watched = ["loss", *measures.each]
    held_out_names: list[str] = []
    if config.data.validation:
        names = [*measures.each, *measures.whole]
        robust = [ROBUST + name for name in names] if config.adversary else []
        held_out_names = held_out(["loss", *names, *robust])

    length = length_of(config, source)
    total = length("100%")
    if schedule is None:
        schedule = build_schedule(config.schedule, length, total)
    check_images(config, source)
    model = _model_for(config, source, outputs)
    forward = Forward(
        model,
        make_normalize(signature.mean, signature.std),
        jnp.dtype(config.train.dtype),
        refuse_lone_values,
        remat=config.train.remat,
        place=None if layout is None else layout.gathered,
    )
    groups = find_groups(config, forward, signature.x_shape)
    branches = may_branch(layout)
    watched += held_out_names
    chain = build_chain(
        config, schedule, length, watched, _own_mesh(layout), groups, branches=branches
    )
    frozen = NOTHING if groups is None else groups.frozen
    attack = build_attack(config.adversary)
    adjust = adjusting(source.start, _lsuv(forward, source) if config.train.lsuv else None)
    dispatch = config.train.steps_per_dispatch
    curvature = build_curvature(config, forward, objective)
    probe = build_probe(config, forward, objective)
    meter = build_meter(config, clips=chain.clips, branches=branches)

    def init(key: jax.Array) -> TrainState:
        x = jnp.zeros((1, *signature.x_shape), jnp.float32)
        state = init_state(
            key, forward, chain.optimizer, x, evaluation=held_out_names, adjust=adjust
        )
        if probe is not None:
            state = state._replace(probe=probe.start(state, stream_key(key, Stream.PROBE)))
        return state

    def evaluator(in_loop: bool, forward: Forward, attacked: bool = True, final: bool = False):
        attacking, key = attack if attacked else None, None
        if attacking is not None:
            key = stream_key(jax.random.key(config.seed), Stream.ADVERSARY)
        return make_evaluate(
            forward,
            objective,
            whole={**measures.whole, **measures.final} if final else measures.whole,
            in_loop=in_loop,
            attack=attacking,
            attack_key=key,
        )

    augment = build_augment(config, outputs, signature.mean)
    prepare = make_prepare(forward, loss, augment=augment, attack=attack)
    experiment = Experiment(
        train=source.train or {},
        validation=source.validation,
        test=source.test or {},
        train_sample=source.train_sample,
        classes=signature.classes,
        seed=config.seed,
        forward=forward,
        frozen=frozen,
        optimizer=chain.optimizer,
        eval_params=chain.eval_params,
        watched_params=chain.watched,
        watches=config.train.evaluate_weights,
        learning_rate=chain.learning_rate,
        objective=objective,
        whole={**measures.whole, **measures.final},
        curvature=curvature,
        init=init,
        step=make_step(
            forward,
            objective,
            chain.optimizer,
            prepare=prepare,
            curvature=curvature,
            learning_rate=chain.applied_rate,
            stopped=chain.stopped,
            skipped=chain.skipped,
            microbatches=config.train.microbatches,
            frozen=frozen,
            meter=meter,
        ),
        gave_up=chain.gave_up,
        prepare=prepare,
        gradient=make_gradient(forward, objective, config.train.microbatches, frozen),
        microbatches=config.train.microbatches,
        probe=probe,
        meter=meter,
        evaluator=evaluator,
        robust=attack is not None,
        keeps=chain.keeps,
        members=chain.members,
        pool=declared(objective.loss).pool or _mean,
        drawn=source.drawn,
        evaluation_batch_size=config.train.evaluation_batch_size,
        steps_per_dispatch=dispatch if isinstance(dispatch, int) else None,
        fusions=None if config.train.xla == "auto" else config.train.xla,
        steps_per_epoch=source.steps_per_epoch,
        total_steps=total,
        evaluate_every=length(config.train.evaluate_every),
        checkpoint_every=length(config.train.checkpoint_every),
    )
    if layout is None and all(map(is_concrete, leaves(config).values())):
        check_own_augmentations(config, signature)
        check_own_step(config, experiment)
    return experiment


def _own_mesh(layout: Layout | None) -> Mesh | None:
    """The devices that one run has for itself."""
    if layout is None or not isinstance(layout.mesh, Mesh) or layout.mesh.shape[RUN] > 1:
        return None
    return layout.mesh


def _mean(outputs: jax.Array) -> jax.Array:
    return outputs.mean(0)


def build_penalty(chosen: Sequence[Choice]) -> Callable[[Params], jax.Array] | None:
    """The sum of the penalties of a file; None where it has none."""
    if not chosen:
        return None
    penalties = [
        functools.partial(FAMILIES["penalty"].functions[c.name], **c.arguments) for c in chosen
    ]
    return lambda params: jnp.stack([penalty(params) for penalty in penalties]).sum()


def check_model(model: Model, name: str, shape: tuple[int, ...], outputs: int) -> None:
    """Hold a user's own model to the call convention, without running it.

    Raises:
      InputError: where it cannot be called, or gives something else than a row of logits a sample.
    """
    wanted = "init(rngs, x, train=...) and apply(variables, x, train=...), as Linen modules have"
    if isinstance(model, type) or not isinstance(model, Model):
        raise InputError(f"model: {model!r} must be an object with {wanted}")

    def applied(key, x):
        forward = Forward(model)
        return forward.evaluate(*forward.init(key, x), x)

    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    try:
        found = jax.eval_shape(applied, jax.random.key(0), x)
    except Exception as error:  # whatever the user's own code raises
        text = f"model: {name} failed on inputs {shape}: {told(error)}; it needs"
        raise InputError(f"{text} {wanted}") from error
    if getattr(found, "shape", None) != (shape[0], outputs):
        raise InputError(
            f"model: {name} gives {found}, expected outputs of shape "
            f"{(shape[0], outputs)}, as the data needs {outputs} a sample"
        )


def check_images(config: Config, source: RunData) -> None:
    """Samples that are no images can be neither augmented nor attacked as images are.

    Raises:
      ConfigError: naming each table that needs images.
    """
    wanting = [
        (f"augment.{i}", choice.name)
        for i, choice in enumerate(config.augment)
        if not declared_by("augment", choice).any_shape
    ]
    if config.adversary:
        wanting.append(("adversary", config.adversary.name))
    if wanting and source.no_images:
        text = f"the samples of {config.data.source.name} {source.no_images}"
        faults = [(path, f"{name} needs images (H, W, C), {text}") for path, name in wanting]
        raise ConfigError("configuration", faults)


def _model_for(config: Config, source: RunData, outputs: int) -> Model:
    """The model that was given, or that of the file, held to the data's shapes."""
    shape, chosen = source.signature.x_shape, config.model
    if source.model is not None:
        model, name, house = as_model(source.model), type(source.model).__name__, False
    else:
        model = FAMILIES["model"].make(chosen.name, {"outputs": outputs, **chosen.arguments})
        house = chosen.name in FAMILIES["model"].table
        name = type(model).__name__ if house else chosen.name
    if not house or len(shape) != IMAGE_RANK:
        check_model(model, name, (source.batch_size, *shape), outputs)
    return model


def _lsuv(forward: Forward, source: RunData) -> Callable[[Any, jax.Array], Any] | None:
    """`(variables, key) -> variables` scaled on the first images; None without data."""
    model = forward.model
    if not isinstance(model, linen.Module):
        fault = f"needs a Linen module, whose layers it looks into, not {type(model).__name__}"
        raise ConfigError("configuration", [("train.lsuv", fault)])
    if source.train is None:
        return None
    first = forward.normalize(source.train["x"][:LSUV_IMAGES])
    return lambda variables, key: lsuv(model, variables, first, key)
