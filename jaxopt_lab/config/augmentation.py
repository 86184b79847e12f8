"""`[[augment]]` and `[adversary]` as functions of a batch."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_lab.augment import Op, batched, compose, views
from jaxopt_lab.augment.pixels import unit
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.tables import FAMILIES, declared_by, names_with
from jaxopt_lab.core.types import Batch
from jaxopt_lab.losses import jensen_shannon

BatchFunction = Callable[[jax.Array, Batch], Batch]

_Shown = jax.Array | None
"""The samples of a batch without what degrades them, the target of an autoencoder; else None."""
_Stage = Callable[[jax.Array, Batch, _Shown], tuple[Batch, _Shown]]


def build_augment(config: Config, outputs: int, mean: np.ndarray) -> BatchFunction | None:
    """The ops and mixers of a file, in its order; None where it has none.

    Mixers are given distributions over the classes. An op is given what it declares that the data
    fills in, where the file does not say otherwise. With `consistency` the last op makes views:
    what came before it, and two draws of it. The target of an autoencoder follows its sample.

    Raises:
      ConfigError: where there is nothing that makes views, or something that they forbid.
    """
    chosen = config.augment
    if config.consistency:
        _check_views(config)
    if not chosen:
        return None
    stages: list[_Stage] = []
    rest = chosen[:-1] if config.consistency else chosen
    for mixes, group in itertools.groupby(rest, _mixes):
        group = list(group)
        ops = [_construct(c, mean) for c in group]
        if mixes:
            stages += [_mixing(op) for op in ops]
        else:
            stages.append(_moving(ops, [declared_by("augment", c).degrades for c in group]))
    if config.consistency:
        stages.append(_viewing(views(_construct(chosen[-1], mean))))
    soft = any(map(_mixes, chosen))

    def augment(key: jax.Array, batch: Batch) -> Batch:
        if soft and batch["y"].ndim == 1:
            batch = batch | {"y": jax.nn.one_hot(batch["y"], outputs)}
        shown = batch["x"] if config.data.reconstruct else None
        for i, stage in enumerate(stages):
            batch, shown = stage(jax.random.fold_in(key, i), batch, shown)
        if shown is None:
            return batch
        return batch | {"y": unit(shown).reshape(len(shown), -1)}

    return augment


def _moving(ops: Sequence[Op], degrade: Sequence[bool]) -> _Stage:
    """Ops on the samples; those that do not degrade them, with the same draws, on what is shown."""
    op = compose(*ops)

    def stage(key, batch, shown):
        draws, x = op.draw_batch(key, len(batch["x"])), batch["x"]
        moved = batch | {"x": op.apply_batch(draws, x)}
        if shown is None or (shown is x and not any(degrade)):
            return moved, None if shown is None else moved["x"]
        for own, draw, degrades in zip(ops, draws, degrade, strict=True):
            shown = shown if degrades else own.apply_batch(draw, shown)
        return moved, shown

    return stage


def _mixing(mix: BatchFunction) -> _Stage:
    def stage(key, batch, shown):
        mixed = mix(key, batch)
        if shown is None or shown is batch["x"]:
            return mixed, None if shown is None else mixed["x"]
        return mixed, mix(key, batch | {"x": shown})["x"]

    return stage


def _viewing(apply: Callable[[jax.Array, jax.Array], jax.Array]) -> _Stage:
    return lambda key, batch, shown: (batch | {"x": apply(key, batch["x"])}, shown)


def build_stages(chosen: Sequence[Choice], mean: np.ndarray) -> list[tuple[str, BatchFunction]]:
    """The name and the function of each table by itself, on batches with soft labels."""
    functions = [(c, _construct(c, mean)) for c in chosen]
    return [(c.name, f if _mixes(c) else _on_images(batched(f))) for c, f in functions]


def build_attack(chosen: Choice | None) -> Any:
    """The adversary of a file; None where it has none."""
    if chosen is None:
        return None
    return FAMILIES["adversary"].make(chosen.name, chosen.arguments)


def build_consistency(weight: float) -> Callable[[jax.Array], jax.Array] | None:
    """The divergence of a sample's views times its weight; None where it has none."""
    return (lambda views: weight * jensen_shannon(views)) if weight else None


def _on_images(apply: Callable[[jax.Array, jax.Array], jax.Array]) -> BatchFunction:
    return lambda key, batch: batch | {"x": apply(key, batch["x"])}


def _mixes(choice: Choice) -> bool:
    return declared_by("augment", choice).mixes


def _construct(choice: Choice, mean: np.ndarray) -> Any:
    offers = {"mean": mean.tolist()}
    fills = {k: offers[what] for k, what in declared_by("augment", choice).fills.items()}
    return FAMILIES["augment"].make(choice.name, fills | dict(choice.arguments))


def _check_views(config: Config) -> None:
    mixers = [c.name for c in config.augment if _mixes(c)]
    if mixers:
        fault = f"compares views of one sample, which {mixers[0]} mixes with others; remove one"
    elif config.data.reconstruct:
        fault = "compares probabilities of classes, which the outputs of an autoencoder are not"
    elif config.adversary:
        fault = "compares views, which [adversary] would move one by one; remove one"
    elif not config.augment or not declared_by("augment", config.augment[-1]).views:
        able = " or ".join(f'"{name}"' for name in names_with("augment", lambda d: d.views))
        fault = f"needs views of each sample: the last [[augment]] must be {able}"
    else:
        return
    raise ConfigError("configuration", [("loss.consistency", fault)])
