"""The optimizer among its `[[control]]`s, in an order that no file changes."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import optax

from jaxopt_lab.config.optimizer import Length, made, settled
from jaxopt_lab.config.parse import ConfigError
from jaxopt_lab.config.schema import Choice, Config
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.control import learning_rate_scale, place_of
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.types import Params, Schedule
from jaxopt_lab.optimizers import FromOptaxState, schedule_free_average
from jaxopt_lab.schedules import cyclical_cycle_end, sgdr_cycle_end

CYCLE_ENDS = {"sgdr": sgdr_cycle_end, "cyclical": cyclical_cycle_end}
PLATEAUS = ("reduce_on_plateau", "plateau_learning_rate")

# Of each of these a run has one at most: its state could not say which one is meant.
ALONE = (
    PLATEAUS,
    ("weight_ema", "stochastic_weight_averaging"),
    ("early_stopping",),
    ("snapshots",),
    ("sam",),
)


def names_of(chosen: Sequence[Choice]) -> list[str]:
    """The names that a list of tables picks."""
    return [choice.name for choice in chosen]


def add_controls(
    optimizer: optax.GradientTransformationExtraArgs,
    config: Config,
    length: Length,
    watched: Sequence[str],
) -> optax.GradientTransformationExtraArgs:
    """The optimizer among its controls: those of gradients, it, those of updates, the wrappers.

    Args:
      optimizer: what they control.
      config: its `[[control]]` tables, and what they need from the others.
      length: turns a length into steps.
      watched: names of the metrics that a `monitor` may name.

    Raises:
      ConfigError: where a control does not fit the rest of the configuration.
    """
    _check_alone(config.control)
    known = FAMILIES["control"].functions
    order = list(known)
    chosen = sorted(enumerate(config.control), key=lambda item: order.index(item[1].name))
    members: dict[str, list[optax.GradientTransformation]] = {"gradients": [], "updates": []}
    wrappers = []
    for i, choice in chosen:
        arguments = settled(f"control.{i}", "control", choice, length)
        _check_monitor(i, choice, watched)
        given: list[Any] = []
        if choice.name == "add_gradient_noise":
            given = [config.seed]
        if choice.name == "snapshots":
            given = [_cycle_end(i, config, length)]
        if choice.name in PLATEAUS:
            peak = config.optimizer.arguments.get("learning_rate")
            arguments |= {} if peak is None else {"learning_rate": peak}
        place = place_of(known[choice.name])
        if place == "wrapper":
            wrappers.append((i, choice.name, given, arguments))
        else:
            members[place].append(made(f"control.{i}", "control", choice.name, given, arguments))
    if members["gradients"] or members["updates"]:
        optimizer = optax.chain(*members["gradients"], optimizer, *members["updates"])
    for i, name, given, arguments in wrappers:
        optimizer = made(f"control.{i}", "control", name, [optimizer, *given], arguments)
    return optimizer


def applied_rate(
    config: Config, learning_rate: Schedule | None
) -> Callable[[jax.Array, Any], jax.Array] | None:
    """`(step, opt_state) -> the rate that the step applied`, a plateau's factor included."""
    if learning_rate is None:
        return None
    if not set(PLATEAUS) & set(names_of(config.control)):
        return lambda step, _: learning_rate(step)
    return lambda step, opt_state: learning_rate(step) * learning_rate_scale(opt_state)


def evaluated(config: Config) -> Callable[[Params, Any], Params]:
    """`(params, opt_state) -> the parameters to evaluate`, of methods that train others."""
    if not config.optimizer.name.startswith("schedule_free"):
        return lambda params, opt_state: params

    def average(params, opt_state):
        is_state = lambda x: isinstance(x, FromOptaxState)  # noqa: E731
        states = filter(is_state, jax.tree.leaves(opt_state, is_leaf=is_state))
        return schedule_free_average(next(iter(states)), params)

    return average


def keeps_best(config: Config) -> bool:
    """Whether an early stopping keeps the best parameters."""
    chosen = [c for c in config.control if c.name == "early_stopping"]
    return any(c.arguments.get("restore_best", True) for c in chosen)


def _check_alone(chosen: Sequence[Choice]) -> None:
    for kind in ALONE:
        places = [i for i, choice in enumerate(chosen) if choice.name in kind]
        if len(places) > 1:
            fault = f"a run has one {' or '.join(kind)} at most; control.{places[0]} is one already"
            raise ConfigError("configuration", [(f"control.{places[1]}", fault)])


def _check_monitor(place: int, choice: Choice, watched: Sequence[str]) -> None:
    argument = FAMILIES["control"].arguments(choice.name).get("monitor")
    if argument is None:
        return
    name = choice.arguments.get("monitor", argument.default)
    if name not in watched:
        why = nearest(name, watched)
        if name.removeprefix("val_") in watched:
            why = ": it needs data.validation > 0"
        fault = f"{name!r} is not measured{why}; there are {', '.join(watched)}"
        raise ConfigError("configuration", [(f"control.{place}.monitor", fault)])
    better = "max" if name.endswith("accuracy") else "min"
    if choice.arguments.get("mode", "min") != better:
        fault = f"must be {better!r} for {name}, which is better when it is {better}imal"
        raise ConfigError("configuration", [(f"control.{place}.mode", fault)])


def _cycle_end(place: int, config: Config, length: Length) -> Callable[..., Any]:
    if len(config.schedule) != 1 or config.schedule[0].name not in CYCLE_ENDS:
        names = " or ".join(CYCLE_ENDS)
        fault = f"snapshots are taken where a cycle ends: it needs one [schedule], {names}"
        raise ConfigError("configuration", [(f"control.{place}", fault)])
    schedule = config.schedule[0]
    return CYCLE_ENDS[schedule.name](**settled("schedule", "schedule", schedule, length))
