"""Any network against everything that one is expected to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.testing import model as m
from jaxopt_lab.testing.promise import NotLookedAtError, Plan, checking, plan_of, promise


@dataclass(frozen=True)
class _Subject:
    model: Any
    shape: tuple[int, ...]
    outputs: int
    draws: bool | None

    @property
    def x(self) -> jax.Array:
        """A batch of samples that differ, in [0, 1]."""
        return jax.random.uniform(jax.random.key(1), self.shape)


@promise(
    "Losses and metrics compare a row of outputs with each label.",
    "Return (B, outputs), in the dtype of the parameters; take `train=`, or convert the network "
    "with jaxopt_lab.nn.as_model.",
)
def rows(subject: _Subject) -> None:
    """(B, ...) in, (B, outputs) out, float32."""
    m.gives_a_row_a_sample(subject.model, subject.shape, jnp.float32, subject.outputs)


@promise(
    "Training in bfloat16 gives its speed away where a layer goes back to float32.",
    "Make constants with the dtype of the inputs, and cast none of them to float32 by name.",
    "rows",
)
def bfloat16(subject: _Subject) -> None:
    """With bfloat16 parameters and inputs the outputs are bfloat16."""
    m.gives_a_row_a_sample(subject.model, subject.shape, jnp.bfloat16, subject.outputs)


@promise(
    "Training is compiled; what differs from the plain code is another network.",
    "Use jnp and lax in place of NumPy, and draw nothing outside of the given keys.",
    "rows",
)
def jit(subject: _Subject) -> None:
    """Compiled outputs are the eager ones."""
    m.jit_equals_eager(subject.model, subject.x)


@promise(
    "Seeds side by side, vmapped, are to be the seeds alone.",
    "Draw every parameter from the key that init is given.",
    "rows",
)
def vmapped_seeds(subject: _Subject) -> None:
    """`init` vmapped over keys gives what each key gives alone."""
    m.seeds_are_vmapped(subject.model, subject.x)


@promise(
    "A prediction that changes when it is made again cannot be measured.",
    "Switch dropout and noise off where train is False.",
    "rows",
)
def evaluation_is_fixed(subject: _Subject) -> None:
    """In evaluation the key changes nothing."""
    m.evaluation_draws_nothing(subject.model, subject.x)


@promise(
    "Dropout that ignores its key drops the same units at every step.",
    'Draw from make_rng("dropout"), or from rngs["dropout"].',
    "rows",
)
def training_draws(subject: _Subject) -> None:
    """In training another key gives other outputs, where the network draws."""
    if not subject.draws:
        raise NotLookedAtError("give draws=True for a network with dropout or noise")
    m.training_draws_by_its_key(subject.model, subject.x)


@promise(
    "In evaluation a sample's prediction must not depend on the batch that it came in.",
    "Normalize with stored statistics where train is False, and reduce over no batch axis.",
    "rows",
    "evaluation_is_fixed",
)
def a_row_alone(subject: _Subject) -> None:
    """In evaluation a sample alone has the outputs that it has in a batch."""
    m.a_row_alone_is_the_row_in_a_batch(subject.model, subject.x)


@promise(
    "One NaN among the gradients ends training at its first step.",
    "Look for roots, logarithms and norms at 0: jnp.where on what goes in, not on what comes out.",
    "rows",
)
def gradients(subject: _Subject) -> None:
    """Gradients in training are finite."""
    m.gradients_are_finite(subject.model, subject.x)


@checking(
    (
        rows,
        bfloat16,
        jit,
        vmapped_seeds,
        evaluation_is_fixed,
        training_draws,
        a_row_alone,
        gradients,
    )
)
def check_model(
    model: Any,
    *,
    shape: Sequence[int],
    outputs: int,
    draws: bool = False,
    name: str | None = None,
    skip: Mapping[str, str] | None = None,
) -> Plan:
    """Look at everything that a network is expected to keep.

    Args:
      model: an object with `init(key, x, train=)` and `apply(variables, x, train=, ...)`: a Linen
        module that takes `train`, or what `jaxopt_lab.nn.as_model` makes of any other, of an NNX
        and of an Equinox one.
      shape: of a batch of inputs, (B, ...), with B >= 2.
      outputs: numbers that it gives a sample.
      draws: whether it draws in training, as dropout does.
      name: of the network, for people.
      skip: promises that are left out, each with the reason.

    Returns:
      A `Report`.

    Raises:
      AssertionError: with all promises that are broken.
      ArgumentError: for what is no network of this form, a batch of one, and a skip that is wrong.
    """
    if isinstance(model, type) or not (hasattr(model, "init") and hasattr(model, "apply")):
        text = (
            "must have init(key, x, train=) and apply(variables, x, train=), got "
            f"{model if isinstance(model, type) else type(model)}: "
            "jaxopt_lab.nn.as_model(...) makes that of an NNX or Equinox module"
        )
        raise ArgumentError("check_model", {"model": text})
    if len(shape) < 2 or shape[0] < 2:
        text = f"must be that of a batch of two samples or more, (2, 28, 28, 1), got {shape!r}"
        raise ArgumentError("check_model", {"shape": text})
    subject = _Subject(model, tuple(shape), outputs, draws)
    return plan_of(model, subject, name or getattr(model, "name", None), skip)
