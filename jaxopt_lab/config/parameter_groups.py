"""`[[group]]` and `optimizer.layer_decay`: which parameters move, how fast, and by what.

1. A parameter is of the first group whose pattern is found in its path; the others are of none.
2. A group with an optimizer or a weight decay of its own is a part of an `optax.partition`.
3. What groups and layers say of the rate multiplies the updates.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.optimizer import Length, build_optimizer
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice, GroupConfig
from jaxopt_lab.config.tables import FAMILIES, declared_by, names_with
from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.tree import find_state, flatten_with_names, path_name
from jaxopt_lab.core.types import Params, Schedule
from jaxopt_lab.diagnostics import first_use
from jaxopt_lab.diagnostics.layers import layer_of
from jaxopt_lab.engine import Forward, Frozen

REST, FROZEN = "rest", "frozen"
MOST_SHOWN = 20

EvalParams = Callable[[Any, Params], Params]


class ParameterGroups(NamedTuple):
    """The parameters of a model in groups.

    Attributes:
      rules: of the file.
      of: `{path: number of its group}`; None for none.
      layers: `{path: how many layers of the model come after its own}`.
      layer_decay: the factor from a layer to the one before it.
    """

    rules: tuple[GroupConfig, ...]
    of: Mapping[str, int | None]
    layers: Mapping[str, int]
    layer_decay: Any

    def rule(self, name: str) -> GroupConfig | None:
        """The group of a parameter."""
        number = self.of[name]
        return None if number is None else self.rules[number]

    def is_frozen(self, name: str) -> bool:
        """Whether a parameter stays as it is."""
        rule = self.rule(name)
        return rule is not None and rule.freeze

    def factor(self, name: str) -> Any:
        """What the updates of a parameter are multiplied by."""
        rule, later = self.rule(name), self.layers.get(name, 0)
        scale = 1.0 if rule is None else rule.learning_rate_scale
        return scale * self.layer_decay**later if later else scale

    def label(self, name: str) -> str:
        """The part of the optimizer that a parameter is of."""
        rule = self.rule(name)
        if rule is None or not (rule.freeze or _own(rule)):
            return REST
        return FROZEN if rule.freeze else f"group_{self.of[name]}"

    def labels(self, params: Params) -> Params:
        """`label` of each leaf."""
        return jax.tree_util.tree_map_with_path(lambda p, _: self.label(path_name(p)), params)

    @property
    def frozen(self) -> Frozen:
        """What does not change.

        Of a model's other collections it is what a pattern is found in, or what belongs to a layer
        of which every parameter is frozen.
        """
        still: dict[str, bool] = {}
        for name in self.of:
            still[layer_of(name)] = still.get(layer_of(name), True) and self.is_frozen(name)

        def of_state(name: str) -> bool:
            number = _first(self.rules, name)
            matched = number is not None and self.rules[number].freeze
            return matched or still.get(layer_of(name), False)

        return Frozen(lambda name: name in self.of and self.is_frozen(name), of_state)

    def rows(self) -> list[tuple[str, str, str]]:
        """Of each parameter its group and the factor on its rate, in words."""
        found = []
        for name, number in self.of.items():
            group = "" if number is None else f"{number}: {self.rules[number].match}"
            rate = "frozen" if self.is_frozen(name) else f"{self.factor(name):.4g}"
            found.append((name, group, rate))
        return found


def find_groups(config: Config, forward: Forward, shape: tuple[int, ...]) -> ParameterGroups | None:
    """The groups of a file for a model on inputs (1, *shape); None where it has none.

    Raises:
      ConfigError: where a pattern matches no parameter, or none is left to train.
    """
    decays = not is_concrete(config.layer_decay) or config.layer_decay != 1
    if not config.group and not decays:
        return None
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    params, state = jax.eval_shape(forward.init, jax.random.key(0), x)
    names = list(flatten_with_names(params))
    of = {name: _first(config.group, name) for name in names}
    for i, rule in enumerate(config.group):
        if i in of.values():
            continue
        if any(re.search(rule.match, name) for name in names):
            fault = "matches only what groups before it have; put it first"
        else:
            more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
            fault = f"{rule.match!r} matches none of {', '.join(names[:MOST_SHOWN])}{more}"
        raise ConfigError("configuration", [(f"group.{i}.match", fault)])
    layers: dict[str, int] = {}
    if decays:
        order = list(dict.fromkeys(map(layer_of, first_use(forward.evaluate, params, state, x))))
        layers = {name: len(order) - 1 - order.index(layer_of(name)) for name in names}
    groups = ParameterGroups(config.group, of, layers, config.layer_decay)
    if all(map(groups.is_frozen, names)):
        text = "freezes every parameter that there is: nothing is left to train"
        raise ConfigError("configuration", [("group", text)])
    return groups


def build_grouped(
    config: Config,
    schedule: Schedule | None,
    length: Length,
    mesh: Mesh | None,
    groups: ParameterGroups | None,
) -> tuple[optax.GradientTransformationExtraArgs, Schedule | None, EvalParams | None]:
    """The optimizer with those of its groups, the rate of the rest, and what to evaluate.

    Raises:
      ConfigError: where a group does not fit its optimizer.
    """
    rest, rate = build_optimizer(config.optimizer, schedule, length, mesh)
    of_rest = declared_by("optimizer", config.optimizer).eval_params
    if groups is None:
        return rest, rate, of_rest
    parts, evaluated = {REST: rest}, {REST: of_rest}
    for i, rule in enumerate(config.group):
        _check_scale(f"group.{i}", rule.optimizer or config.optimizer, rule.learning_rate_scale)
        if rule.freeze:
            parts[FROZEN] = _STILL
        elif _own(rule):
            chosen = _optimizer_of(i, rule, config.optimizer)
            parts[f"group_{i}"] = build_optimizer(chosen, schedule, length, mesh)[0]
            evaluated[f"group_{i}"] = declared_by("optimizer", chosen).eval_params
    _check_scale("optimizer", config.optimizer, config.layer_decay)
    whole = _scaled(optax.partition(parts, groups.labels), groups)
    if not any(evaluated.values()):
        return whole, rate, None

    def eval_params(opt_state: Any, params: Params) -> Params:
        states = find_state(opt_state, "partition", optax.transforms.PartitionState).inner_states
        labels = groups.labels(params)
        for label, own in evaluated.items():
            if own is not None:
                mine = jax.tree.map(label.__eq__, labels)
                part = jax.tree.map(lambda own, p: p if own else _HOLE, mine, params)
                found = own(states[label].inner_state, part)
                params = jax.tree.map(lambda own, p, new: new if own else p, mine, params, found)
        return params

    return whole, rate, eval_params


def needs_curvature(config: Config) -> bool:
    """Whether the optimizer of a file, or of one of its groups, reads the curvature."""
    chosen = [config.optimizer, *(rule.optimizer for rule in config.group if rule.optimizer)]
    return any("curvature" in declared_by("optimizer", each).needs for each in chosen)


def trained_only(
    inner: optax.GradientTransformationExtraArgs, groups: ParameterGroups | None
) -> optax.GradientTransformationExtraArgs:
    """What comes before the optimizer, on the gradients of what trains."""
    if groups is None or not any(rule.freeze for rule in groups.rules):
        return inner

    def labels(params: Params) -> Params:
        return jax.tree.map(lambda at: FROZEN if at == FROZEN else REST, groups.labels(params))

    return optax.partition({REST: inner, FROZEN: _STILL}, labels)


def _scaled(
    inner: optax.GradientTransformationExtraArgs, groups: ParameterGroups
) -> optax.GradientTransformationExtraArgs:
    """Updates times the factors of their parameters; the state is that of `inner`."""

    def scale(path: Any, update: jax.Array) -> jax.Array:
        factor = groups.factor(path_name(path))
        if is_concrete(factor) and factor == 1:
            return update
        return (factor * update).astype(update.dtype)

    def update(updates, state, params=None, **extra):
        updates, state = inner.update(updates, state, params, **extra)
        return jax.tree_util.tree_map_with_path(scale, updates), state

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _own(rule: GroupConfig) -> bool:
    return rule.optimizer is not None or rule.weight_decay is not None


def _optimizer_of(place: int, rule: GroupConfig, rest: Choice) -> Choice:
    """The optimizer of a group: its own, or that of the rest, with its weight decay."""
    chosen = rule.optimizer or rest
    if rule.weight_decay is None:
        return chosen
    if "weight_decay" not in FAMILIES["optimizer"].arguments(chosen.name):
        able = [
            name
            for name in names_with("optimizer", lambda d: True)
            if "weight_decay" in FAMILIES["optimizer"].arguments(name)
        ]
        fault = f"{chosen.name} takes none; take one of {', '.join(able)}"
        raise ConfigError("configuration", [(f"group.{place}.weight_decay", fault)])
    return dataclasses.replace(
        chosen, arguments={**chosen.arguments, "weight_decay": rule.weight_decay}
    )


def _check_scale(place: str, chosen: Choice, scale: Any) -> None:
    """A factor on updates is none on the rate where the state holds other parameters."""
    if declared_by("optimizer", chosen).eval_params and not (is_concrete(scale) and scale == 1):
        key = "layer_decay" if place == "optimizer" else "learning_rate_scale"
        fault = (
            f"does not go with {chosen.name}, which averages the parameters themselves: give the "
            "group an optimizer of its own, with its own learning_rate"
        )
        raise ConfigError("configuration", [(f"{place}.{key}", fault)])


def _first(rules: tuple[GroupConfig, ...], name: str) -> int | None:
    return next((i for i, rule in enumerate(rules) if re.search(rule.match, name)), None)


def _stay(updates: Params, params: Params | None = None) -> Params:
    """Negative zeros, because x + -0.0 is x to the bit where x is -0.0 too."""
    del params
    return jax.tree.map(lambda u: jnp.full_like(u, -0.0), updates)


_HOLE = optax.MaskedNode()
_STILL = optax.with_extra_args_support(optax.stateless(_stay))
