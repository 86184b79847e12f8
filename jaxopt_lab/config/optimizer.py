"""`[schedule]` and `[optimizer]` as functions of the step, every length in steps."""

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.tables import FAMILIES, declared_by
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import Duration, fault, marks
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules import join

Length = Callable[[int | str], int]


def build_schedule(chosen: Sequence[Choice], length: Length, total: int) -> Schedule | None:
    """The schedules of a file, joined in order; one without `steps` takes what is left."""
    schedules, lengths, begin = [], [], 0
    for i, choice in enumerate(chosen):
        if isinstance(begin, int) and begin >= total:
            text = f"begins at step {begin}, but the run ends at {total}; shorten those before it"
            raise ConfigError("configuration", [(f"schedule.{i}", text)])
        arguments = _of_schedule(f"schedule.{i}", choice, length, total - begin)
        schedules.append(construct(f"schedule.{i}", "schedule", choice.name, arguments))
        lengths.append(arguments.get("steps", total - begin))
        begin += lengths[-1]
    if not schedules:
        return None
    return schedules[0] if len(schedules) == 1 else join(schedules, lengths[:-1])


def build_optimizer(
    chosen: Choice, schedule: Schedule | None, length: Length, mesh: Mesh | None = None
) -> tuple[optax.GradientTransformationExtraArgs, Schedule | None]:
    """The optimizer with its rate on the schedule, and that rate as a function of the step."""
    known = FAMILIES["optimizer"].arguments(chosen.name)
    arguments = resolve("optimizer", "optimizer", chosen, length)
    given = declared_by("optimizer", chosen).given
    arguments |= {name: {"mesh": mesh}[what] for name, what in given.items()}
    if "learning_rate" not in known:
        if schedule is not None:
            raise InputError(f"{chosen.name} takes no learning rate: remove [schedule]")
        return FAMILIES["optimizer"].make(chosen.name, arguments), None
    peak = arguments.get("learning_rate", known["learning_rate"].default)

    def learning_rate(step):
        return peak * (schedule(step) if schedule is not None else jnp.ones([], jnp.float32))

    arguments["learning_rate"] = peak if schedule is None else learning_rate
    return FAMILIES["optimizer"].make(chosen.name, arguments), learning_rate


def resolve(path: str, family: str, choice: Choice, length: Length) -> dict[str, Any]:
    """The arguments of a choice: every length in steps, every table a schedule."""
    return _converted(
        family,
        choice,
        length,
        lambda key, hint, table: _schedule_within(f"{path}.{key}", hint, table, length),
    )


def lengths_in_steps(family: str, choice: Choice, length: Length) -> Choice:
    """The choice with every length in steps, those of the tables in it too."""
    inner = lambda key, hint, table: lengths_in_steps("schedule", table, length)  # noqa: E731
    return dataclasses.replace(choice, arguments=_converted(family, choice, length, inner))


def construct(path: str, family: str, name: str, arguments: Mapping[str, Any]) -> Any:
    """Call an entry whose lengths are known only now; its faults with their paths."""
    try:
        return FAMILIES[family].make(name, arguments)
    except ArgumentError as error:
        faults = [(f"{path}.{key}", text) for key, text in error.faults.items()]
        raise ConfigError("configuration", faults) from None


def _converted(
    family: str, choice: Choice, length: Length, within: Callable[[str, Any, Choice], Any]
) -> dict[str, Any]:
    """The arguments of a choice: every length in steps, every table what `within` makes of it."""
    known = FAMILIES[family].arguments(choice.name)

    def convert(key: str, hint: Any, value: Any) -> Any:
        if isinstance(value, Choice):
            return within(key, hint, value)
        if isinstance(value, tuple):
            (item_hint, *_) = typing.get_args(hint) or (Any,)
            return tuple(convert(key, item_hint, item) for item in value)
        return length(value) if any(isinstance(m, Duration) for m in marks(hint)) else value

    return {key: convert(key, known[key].hint, value) for key, value in choice.arguments.items()}


def _of_schedule(path: str, choice: Choice, length: Length, rest: int) -> dict[str, Any]:
    """A schedule's arguments; one without the `steps` that it needs takes the rest of the run."""
    arguments = resolve(path, "schedule", choice, length)
    if "steps" in FAMILIES["schedule"].arguments(choice.name):
        arguments.setdefault("steps", rest)
    return arguments


def _schedule_within(path: str, hint: Any, choice: Choice, length: Length) -> Schedule:
    """A schedule of the whole run in the place of a number, its values held to that one's range."""
    total = length("100%")
    schedule = construct(path, "schedule", choice.name, _of_schedule(path, choice, length, total))
    steps = np.unique(np.linspace(0, total - 1, 1000, dtype=np.int32))
    with jax.ensure_compile_time_eval():  # a sweep builds its optimizer inside of its program
        values = jax.vmap(schedule)(steps).tolist()
    for step, value in zip(steps, values, strict=True):
        if wrong := fault(hint, value):
            text = f"at step {step} {wrong}; give the schedule another peak and other ends"
            raise ConfigError("configuration", [(path, text)])
    return schedule
