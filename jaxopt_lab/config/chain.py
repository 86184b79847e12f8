"""The optimizer among its `[[control]]`s, in an order that no file changes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.optimizer import Length, construct, resolve
from jaxopt_lab.config.parameter_groups import ParameterGroups, build_grouped, trained_only
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.tables import FAMILIES, better, declared_by, names_with
from jaxopt_lab.core.declare import Declaration, Keeps
from jaxopt_lab.core.metrics import is_held_out, on_batch
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.signatures import signature_of
from jaxopt_lab.core.tree import cast_like
from jaxopt_lab.core.types import Params, Schedule
from jaxopt_lab.engine import keep_given_norm


class Chain(NamedTuple):
    """The whole optimizer of a file, and how to read its state.

    Attributes:
      optimizer: the chain.
      learning_rate: `step -> scalar` of the schedule; None where the optimizer takes no rate.
      applied_rate: `(step, opt_state) -> scalar` that a step applied, a plateau's factor included.
      eval_params: `(opt_state, params) -> params` to evaluate at the end.
      watched: the same of evaluations on the way: an average of these where a file asks for it.
      keeps: what its controls keep, the outermost last.
      members: `opt_state -> (stacked params, how many)` of an ensemble; None where there is none.
      stopped: `opt_state -> bool scalar`; None where nothing stops a run.
      gave_up: `opt_state -> int32 scalar`, at how many steps in a row that were not finite a run
        has stopped, or 0; None for never.
      skipped: `opt_state -> int32 scalar`, the steps left out so far; None where none ever is.
      clips: whether controls stand between the gradient and the optimizer, so that what it gets is
        measured (`engine.given_norm`), where `[log] layers` asks for that.
    """

    optimizer: optax.GradientTransformationExtraArgs
    learning_rate: Schedule | None
    applied_rate: Callable[[jax.Array, Any], jax.Array] | None
    eval_params: Callable[[Any, Params], Params]
    watched: Callable[[Any, Params], Params]
    keeps: tuple[Keeps, ...]
    members: Callable[[Any], tuple[Params, jax.Array]] | None
    stopped: Callable[[Any], jax.Array] | None
    gave_up: Callable[[Any], jax.Array] | None = None
    skipped: Callable[[Any], jax.Array] | None = None
    clips: bool = False


def build_chain(
    config: Config,
    schedule: Schedule | None,
    length: Length,
    watched: Sequence[str],
    mesh: Mesh | None = None,
    groups: ParameterGroups | None = None,
    *,
    branches: bool = True,
) -> Chain:
    """The optimizer among its controls: those of gradients, it, those of updates, the wrappers.

    Args:
      config: its `[optimizer]` and `[[control]]` tables, and what they need from the others.
      schedule: multiplies the learning rate; None for a constant one.
      length: turns a length into steps.
      watched: names of the metrics that a `monitor` may name.
      mesh: the devices that share the run; None for one.
      groups: of parameters that are trained in ways of their own; None for none.
      branches: as of `engine.Meter`.

    Raises:
      ConfigError: where a control does not fit the rest of the configuration.
    """
    optimizer, learning_rate, eval_params = build_grouped(config, schedule, length, mesh, groups)
    _check_roles(config.control)
    order = list(FAMILIES["control"].functions)
    chosen = sorted(enumerate(config.control), key=lambda item: order.index(item[1].name))
    for i, choice in chosen:
        _check_monitor(i, choice, watched)
    placed = {place: [] for place in ("gradients", "updates", "wrapper")}
    for i, choice in chosen:
        placed[declared_by("control", choice).place].append((i, choice))
    before, after = (
        [_control(i, choice, config, length) for i, choice in placed[place]]
        for place in ("gradients", "updates")
    )
    # What takes the gradient again does so at all parameters, and finds 0 where they are frozen.
    before = [
        tx if "grad_fn" in declared_by("control", choice).needs else trained_only(tx, groups)
        for tx, (_, choice) in zip(before, placed["gradients"], strict=True)
    ]
    clips = bool(before) and config.log.layers is not None
    if clips:
        before.append(keep_given_norm(branches=branches))
    if before or after:
        optimizer = optax.chain(*before, optimizer, *after)
    measured = _average_of(config) or eval_params or _trained
    evaluated = None if measured is _trained else measured
    for i, choice in placed["wrapper"]:
        optimizer = _control(i, choice, config, length, inner=optimizer, evaluated=evaluated)

    own = [(choice, declared_by("control", choice)) for _, choice in chosen]
    declarations = [declaration for _, declaration in own]
    members = [d.members for d in declarations if d.members]
    return Chain(
        optimizer=optimizer,
        learning_rate=learning_rate,
        applied_rate=learning_rate and _applied_rate(learning_rate, declarations),
        eval_params=eval_params or _trained,
        watched=measured,
        keeps=tuple(d.keeps for choice, d in own if d.keeps and _is_on(choice, d.keeps)),
        members=members[0] if members else None,
        stopped=_any_of([d.stopped for d in declarations if d.stopped]),
        gave_up=next((d.gave_up for d in declarations if d.gave_up), None),
        skipped=next((d.skipped for d in declarations if d.skipped), None),
        clips=clips,
    )


def _control(
    place: int, choice: Choice, config: Config, length: Length, **offers: Any
) -> optax.GradientTransformationExtraArgs:
    """A control, with what it declares that the program gives."""
    path, declaration = f"control.{place}", declared_by("control", choice)
    offers |= {"seed": config.seed}
    if "learning_rate" in config.optimizer.arguments:
        offers["learning_rate"] = config.optimizer.arguments["learning_rate"]
    if "cycle_end" in declaration.given.values():
        offers["cycle_end"] = _cycle_end(place, choice, config, length)
    given = {k: offers[what] for k, what in declaration.given.items() if what in offers}
    arguments = resolve(path, "control", choice, length)
    return construct(path, "control", choice.name, given | arguments)


def _applied_rate(
    learning_rate: Schedule, declarations: Sequence[Declaration]
) -> Callable[[jax.Array, Any], jax.Array]:
    scales = [d.rate_scale for d in declarations if d.rate_scale]

    def applied(step, opt_state):
        rate = learning_rate(step)
        for scale in scales:
            rate = rate * scale(opt_state)
        return rate

    return applied


def _any_of(
    found: Sequence[Callable[[Any], jax.Array]],
) -> Callable[[Any], jax.Array] | None:
    if len(found) <= 1:
        return found[0] if found else None
    return lambda opt_state: jnp.stack([each(opt_state) for each in found]).any()


def _average_of(config: Config) -> Callable[[Any, Params], Params] | None:
    """What reads the average that `train.evaluate_weights` names; None where it names none."""
    name = config.train.evaluate_weights
    if name is None:
        return None
    averages = names_with("control", lambda d: d.keeps and not d.keeps.judged)
    there = [choice.name for choice in config.control if choice.name in averages]
    if name not in there:
        able = " or ".join(averages)
        near = nearest(name, averages)
        fault = f"{name!r} is no average of this run{near}; add a [[control]], {able}"
        raise ConfigError("configuration", [("train.evaluate_weights", fault)])
    keeps = declared_by("control", Choice(name)).keeps
    assert keeps is not None
    return lambda opt_state, params: cast_like(keeps.params(opt_state), params)


def _trained(opt_state: Any, params: Params) -> Params:
    del opt_state
    return params


def _is_on(choice: Choice, keeps: Keeps) -> bool:
    """Whether a control of a file keeps what it declares."""
    if keeps.switch is None:
        return True
    function = FAMILIES["control"].functions[choice.name]
    default = signature_of(function).parameters[keeps.switch].default
    return choice.arguments.get(keeps.switch, default)


def _check_roles(chosen: Sequence[Choice]) -> None:
    places: dict[str, int] = {}
    for i, choice in enumerate(chosen):
        role = declared_by("control", choice).role
        if role in places:
            names = names_with("control", lambda d, role=role: d.role == role)
            fault = (
                f"a run has one {' or '.join(names)} at most; control.{places[role]} is one already"
            )
            raise ConfigError("configuration", [(f"control.{i}", fault)])
        if role is not None:
            places[role] = i


def _check_monitor(place: int, choice: Choice, watched: Sequence[str]) -> None:
    argument = FAMILIES["control"].arguments(choice.name).get("monitor")
    if argument is None:
        return
    name = choice.arguments.get("monitor", argument.default)
    if wrong := unmeasured(name, watched):
        raise ConfigError("configuration", [(f"control.{place}.monitor", wrong)])
    mode = FAMILIES["control"].arguments(choice.name).get("mode")
    if mode is not None and choice.arguments.get("mode", mode.default) != better(name):
        word = better(name)
        fault = f"must be {word!r} for {name}, which is better when it is {word}imal"
        raise ConfigError("configuration", [(f"control.{place}.mode", fault)])


def unmeasured(name: str, measured: Sequence[str]) -> str | None:
    """What is wrong with the name of a metric that is to be watched, or None."""
    if name in measured:
        return None
    why = nearest(name, measured)
    if is_held_out(name) and on_batch(name) in measured:
        why = ": it needs data.validation > 0"
    return f"{name!r} is not measured{why}; there are {', '.join(measured)}"


def _cycle_end(
    place: int, choice: Choice, config: Config, length: Length
) -> Callable[[jax.typing.ArrayLike], jax.Array]:
    schedules = config.schedule
    of_cycles = declared_by("schedule", schedules[0]).cycle_end if len(schedules) == 1 else None
    if of_cycles is None:
        names = " or ".join(names_with("schedule", lambda d: d.cycle_end))
        fault = f"{choice.name} are taken where a cycle ends: it needs one [schedule], {names}"
        raise ConfigError("configuration", [(f"control.{place}", fault)])
    return of_cycles(**resolve("schedule", "schedule", schedules[0], length))
