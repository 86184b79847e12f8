"""Any schedule against everything that one is expected to keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.testing import schedule as s
from jaxopt_lab.testing.compare import close, holds
from jaxopt_lab.testing.promise import NotLookedAtError, Plan, checking, plan_of, promise


@dataclass(frozen=True)
class _Subject:
    schedule: Schedule
    function: Callable[..., Schedule] | None
    arguments: dict[str, Any]
    steps: np.ndarray
    peak: float | None


@promise(
    "An optimizer computes with the value in its loop, where another dtype changes the state's.",
    "Return jnp.asarray(value, jnp.result_type(float)).",
)
def scalar_array(subject: _Subject) -> None:
    """The value is an array without axes, of JAX's widest float, finite and >= 0."""
    s.defined_for_every_step(subject.schedule, subject.steps.tolist()[:3])


@promise(
    "Runs are prolonged beyond the end, and steps are numbers of Python, NumPy and JAX.",
    "Convert the step first, jnp.asarray(step, jnp.float32), and clip it to the last one.",
    "scalar_array",
)
def every_step(subject: _Subject) -> None:
    """It is defined for steps of every type and size, up to 10^12."""
    s.defined_for_every_step(subject.schedule)


@promise(
    "A compiled loop has an array for its step, which Python cannot compare.",
    "Use jnp.where and jnp.minimum in place of if and min.",
)
def jit_and_vmap(subject: _Subject) -> None:
    """Compiled and vectorized values are the eager ones."""
    # Of the largest value: seven digits, one less than float32 has.
    scale = max(float(jnp.abs(jnp.asarray(subject.schedule(k)))) for k in subject.steps.tolist())
    s.jit_and_vmap_equal_eager(subject.schedule, subject.steps, 1e-6, 2e-7 * scale)


@promise(
    "A resumed run reads the schedule at the step where it stopped.",
    "Compute the value from the step alone, and keep no count.",
)
def pure(subject: _Subject) -> None:
    """The value is that of the step, whatever was asked before."""
    steps = [*subject.steps.tolist()]
    there = [jnp.asarray(subject.schedule(k)) for k in steps]
    back = [jnp.asarray(subject.schedule(k)) for k in steps[::-1]][::-1]
    close(back, there, "steps in any order have the same values")


@promise(
    "A sweep over lengths or rates of a schedule is one program only where they may be traced.",
    "Do not compare or convert the arguments in Python.",
    "jit_and_vmap",
)
def traced_numbers(subject: _Subject) -> None:
    """A traced array in the place of a number of its function acts as the number."""
    if subject.function is None:
        raise NotLookedAtError("give the function that makes it, and its arguments")
    if not subject.arguments:
        raise NotLookedAtError("no argument was given")
    s.numbers_may_be_traced(subject.function, subject.arguments, subject.steps)


@promise(
    "The rate that was tuned is the largest one only where the schedule's peak is what it is "
    "said to be.",
    "Divide by the largest value, or give peak= the value that is meant.",
)
def peak(subject: _Subject) -> None:
    """The largest value over the steps is the one that is said."""
    if subject.peak is None:
        raise NotLookedAtError("give peak= to try it")
    most = float(jnp.max(jax.vmap(subject.schedule)(subject.steps)))
    near = abs(most - subject.peak) <= 1e-6 * abs(subject.peak)
    holds(near, f"the largest value is {most:g}, not {subject.peak:g}")


@checking((scalar_array, every_step, jit_and_vmap, pure, traced_numbers, peak))
def check_schedule(
    schedule: Callable[..., Any],
    arguments: Mapping[str, Any] | None = None,
    *,
    steps: Sequence[int] | np.ndarray = tuple(range(0, 200, 7)),
    peak: float | None = None,
    name: str | None = None,
    skip: Mapping[str, str] | None = None,
) -> Plan:
    """Look at everything that a schedule of the learning rate is expected to keep.

    Args:
      schedule: `schedule(step) -> value`; with `arguments`, a function that makes one.
      arguments: what that function is called with, a dict; all its numbers may be traced.
      steps: whole numbers >= 0 at which values are compared; let them reach past the end.
      peak: the largest value over these steps, where it is to be looked at.
      name: of the schedule, for people.
      skip: promises that are left out, each with the reason.

    Returns:
      A `Report`.

    Raises:
      AssertionError: with all promises that are broken.
      ArgumentError: for what cannot be called, no steps, and a skip that is wrong.
    """
    if not callable(schedule):
        text = f"must be a function of the step, got {schedule!r}"
        raise ArgumentError("check_schedule", {"schedule": text})
    places = np.asarray(steps)
    if places.ndim != 1 or not len(places) or places.dtype.kind not in "iu" or places.min() < 0:
        text = f"must be a list of whole numbers >= 0, got {steps!r}"
        raise ArgumentError("check_schedule", {"steps": text})
    made = schedule if arguments is None else schedule(**arguments)
    function = None if arguments is None else schedule
    subject = _Subject(made, function, dict(arguments or {}), places, peak)
    return plan_of(schedule, subject, name, skip)
