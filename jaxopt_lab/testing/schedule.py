"""What every schedule keeps: `schedule(step)` is a float scalar, whatever the step is."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.types import Schedule
from jaxopt_lab.testing.compare import close, holds

STEPS = np.arange(0, 200, 7)


EVERY_KIND = (0, 3, 10**6, 10**12, np.int64(2**40), True)


def defined_for_every_step(schedule: Schedule, steps: Iterable[Any] | None = None) -> None:
    """A finite scalar >= 0, of JAX's widest float, for steps of every type and size."""
    for step in (*EVERY_KIND, jnp.array(5), jnp.array(2**31 - 1)) if steps is None else steps:
        value = schedule(step)
        holds(isinstance(value, jax.Array), f"the value at step {step} is an array: {value!r}")
        kind, expected = (value.shape, value.dtype), ((), jnp.result_type(float))
        holds(kind == expected, f"the value at step {step} is a scalar of the widest float: {kind}")
        number = float(value)
        fine = np.isfinite(number) and number >= 0
        holds(fine, f"the value at step {step} is finite and >= 0: {number}")


def peak_is_one(schedule: Schedule, steps: int = 30) -> None:
    """The largest of the first values is 1."""
    peak = float(np.max(jax.jit(jax.vmap(schedule))(np.arange(steps))))
    holds(abs(peak - 1) <= 1e-6, f"the peak is 1, within float32's digits: {peak}")


def peak_scales_everything(function: Callable[..., Schedule], arguments: dict[str, Any]) -> None:
    """Another `peak` multiplies every value, where no absolute start or end is given."""
    one, third = function(**arguments), function(**arguments, peak=0.3)
    a, b = jax.jit(lambda steps: (jax.vmap(third)(steps), 0.3 * jax.vmap(one)(steps)))(STEPS)
    close(a, b, "the peak scales everything", rtol=1e-5)


def jit_and_vmap_equal_eager(
    schedule: Schedule, steps: np.ndarray = STEPS, rtol: float = 0.0, atol: float = 2e-7
) -> None:
    """Compiled and vectorized values are the eager ones, to 2e-7 of a peak of 1."""
    eager = np.stack([schedule(jnp.asarray(step)) for step in steps])
    close(jax.jit(jax.vmap(schedule))(steps), eager, "jit and vmap equal eager", rtol, atol)


def numbers_may_be_traced(
    function: Callable[..., Schedule], arguments: dict[str, Any], steps: np.ndarray = STEPS
) -> None:
    """Every number among the arguments may be a traced array."""
    bound = inspect.signature(function).bind(**arguments).arguments
    numbers = {k: v for k, v in bound.items() if not isinstance(v, str | bool | list)}

    @jax.jit
    def both(numbers: dict[str, Any], steps: Any) -> Any:
        traced, plain = function(**{**arguments, **numbers}), function(**arguments)
        return jax.vmap(traced)(steps), jax.vmap(plain)(steps)

    found, expected = both(numbers, steps)
    close(found, expected, "a traced number acts as the plain one", atol=1e-6)
