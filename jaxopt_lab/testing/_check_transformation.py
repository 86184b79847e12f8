"""Any optax transformation against everything that one is expected to keep."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.signatures import signature_of
from jaxopt_lab.core.types import Params
from jaxopt_lab.testing.extras import NAMES, Extras, standard, waves_loss
from jaxopt_lab.testing.promise import Plan, checking, plan_of
from jaxopt_lab.testing.subject import Subject
from jaxopt_lab.testing.transformation_promises import PROMISES
from jaxopt_lab.testing.trees import usual_params

METHOD = "check_transformation"


@checking(PROMISES)
def check_transformation(
    tx: Any,
    arguments: Mapping[str, Any] | None = None,
    *,
    params: Params = None,
    grads: Callable[[Params, Any], Params] | None = None,
    extras: Sequence[str] | Extras = (),
    metric: Callable[[Any], dict[str, Any]] | None = None,
    bound: bool = False,
    rate: str = "learning_rate",
    static: Sequence[str] = (),
    complex_numbers: bool = False,
    steps: int = 4,
    share: float = 0.1,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    name: str | None = None,
    skip: Mapping[str, str] | None = None,
) -> Plan:
    """Look at everything that an optax transformation is expected to keep.

    Args:
      tx: a function that makes the transformation, such as `my_adam`; or a transformation that is
        made, for which the promises on its hyperparameters are not looked at.
      arguments: what the function is called with. Without a rate, where it must have one, 0.1.
      params: a pytree of arrays, in place of a matrix and two vectors. `masked` and `partition`
        leave out its last entry.
      grads: `grads(params, step)`, traceable, in place of cos(3 p + step).
      extras: what `update` needs beside gradients, state and parameters: some of the names `value`,
        `grad`, `value_fn`, `grad_fn`, `obj_fn` and `key`, of the loss whose gradients are given; or
        a function `extras(params, step) -> dict`, traceable.
      metric: `metric(value) -> dict`, the extra arguments of one measured number, for what watches
        one, such as `lambda value: {"value": value}`.
      bound: whether the extra arguments are of `params` alone, as a curvature is: then no other
        parameters are tried.
      rate: the name of the learning rate among the function's arguments.
      static: arguments that must be numbers of Python, such as an order or a decision. Whole
        numbers, bools and all that is no number are so without being named.
      complex_numbers: whether complex parameters are tried too.
      steps: of the state, one after another, whose structure is compared.
      share: of its start to which the loss of a quadratic has to fall.
      rtol: of a comparison of two programs in float32, relative.
      atol: of it, absolute.
      name: of the transformation, for people.
      skip: promises that are left out, each with the reason: `{"multi_steps": "it reads metrics"}`.

    Returns:
      A `Report`: what held, what was skipped, and what was not looked at and why. What is skipped
      is tried too, so that the report can say where a skip is needless.

    Raises:
      AssertionError: with all promises that are broken: what was found, why it matters, and how to
        mend it. An exception inside a promise breaks that promise and stops nothing.
      ArgumentError: for what is no transformation, a promise or an extra argument that there is
        not, and a skip without a reason.
    """
    ready = hasattr(tx, "init") and hasattr(tx, "update")
    if not ready and not callable(tx):
        text = f"must be an optax transformation, or a function that makes one, got {tx!r}"
        raise ArgumentError(METHOD, {"tx": text})
    if ready and arguments:
        text = f"are a function's; a transformation that is made takes none, got {arguments!r}"
        raise ArgumentError(METHOD, {"arguments": text})
    extras_of = _extras_of(extras)
    subject = Subject(
        build=(lambda: tx) if ready else tx,
        arguments={} if ready else _filled(tx, rate, arguments or {}),
        has_factory=not ready,
        rate=rate,
        static=tuple(static),
        params=usual_params() if params is None else params,
        grads=grads,
        extras=extras_of(None),
        extras_of=extras_of,
        metric=metric,
        bound=bound,
        complex_numbers=complex_numbers,
        steps=steps,
        share=share,
        rtol=rtol,
        atol=atol,
    )
    return plan_of(tx, subject, name, skip)


def _filled(function: Callable[..., Any], rate: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with a rate where one must be given and is not."""
    parameters = signature_of(function).parameters
    missing = rate in parameters and parameters[rate].default is parameters[rate].empty
    return ({rate: 0.1} if missing else {}) | dict(given)


def _extras_of(extras: Sequence[str] | Extras) -> Callable[..., Extras]:
    """Extra arguments of a loss; of that of the waves for None."""
    if callable(extras):
        return lambda loss: extras
    for each in extras:
        if each not in NAMES:
            text = (
                f"has no {each!r}{nearest(each, NAMES)}; one of {', '.join(NAMES)}, or a function"
            )
            raise ArgumentError(METHOD, {"extras": f"{text} (params, step) -> dict"})

    def of(loss: Callable[[Params], jax.Array] | None) -> Extras:
        return standard(extras, waves_loss if loss is None else lambda params, step: loss(params))

    return of
