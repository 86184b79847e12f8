"""What a function says of itself where it is defined, so that the wiring knows no function by name.

    @declare(place="updates", role="average", keeps=Keeps("average", reads(EmaState, "average")))
    @checked
    def weight_ema(...): ...

An entry of a family's table that declares nothing is what most of its family are.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import jax

from jaxopt_lab.core.tree import find_state
from jaxopt_lab.core.types import Params

F = TypeVar("F", bound=Callable[..., Any])

Place = Literal["gradients", "updates", "wrapper"]
"""Of a control in a chain: before the optimizer, after it, or around it and all else."""

Given = Literal["inner", "seed", "learning_rate", "cycle_end", "evaluated", "mesh"]
"""What the program can give to a control: what a wrapper wraps, the run's seed, the peak of the
learning rate, `step -> bool` of the schedule's cycles, and `(inner state, params) -> params` that
metrics are of; to an optimizer: the mesh of the run's devices."""

Better = Literal["min", "max"]
Targets = Literal["classes", "labels", "numbers"]
"""What a y is: one of several classes, a set of labels (of each a 0 or a 1), or numbers."""


class Keeps(NamedTuple):
    """Parameters that a control keeps in its state, for a run to end with.

    Attributes:
      name: what a summary calls them, such as "best".
      params: `opt_state -> params`.
      judged: whether the control takes them from an evaluation, which it sees at the call after it.
      switch: name of the argument, a bool, that turns the keeping off; None for always.
      step: `opt_state -> int32 scalar`, the step that they belong to, negative where there are none
        yet; None for the step that the state is at.
    """

    name: str
    params: Callable[[Any], Params]
    judged: bool = False
    switch: str | None = None
    step: Callable[[Any], jax.Array] | None = None


@dataclass(frozen=True)
class Declaration:
    """What a function may declare.

    Attributes:
      place: of a control: "gradients" for before the optimizer, "updates" for after it, "wrapper"
        for around it and all else. Its first argument is then what it wraps.
      role: of a control: a run has one of each role at most, because its state could not say which
        is meant.
      given: of a control or an optimizer: `{argument: what}` that the program gives and a file
        does not.
      fills: `{argument: what}` that the program gives where a file does not: "mean", of the
        training split's channels.
      needs: extras of `update` that cost something, such as "curvature".
      keeps: of a control: parameters that it keeps.
      members: of a control: `opt_state -> (stacked params, how many of them)`, an ensemble.
      stopped: of a control: `opt_state -> bool scalar`, whether it has ended the run.
      gave_up: of a control: `opt_state -> int32 scalar`, at how many steps in a row that were not
        finite it has ended the run, which is `stopped` then, too; 0 where it has not.
      skipped: of a control: `opt_state -> int32 scalar`, how many steps it has left out so far.
      rate_scale: of a control: `opt_state -> scalar`, its factor on the learning rate.
      any_rate: of a control: it acts alike at every learning rate, so a range test keeps it.
      shares: of an optimizer: `(opt_state, arguments) -> bytes` that the devices of a run sum in a
        step beside the gradients, on average over steps; None for none.
      eval_params: of an optimizer: `(opt_state, params) -> params` to evaluate; None for those
        that are trained.
      cycle_end: of a schedule: a function of its arguments that gives `step -> bool`.
      better: of a metric: whether it is better low or high.
      targets: of a loss or a metric: which y it is for.
      unasked: of a loss or a metric: the targets for which it is taken where a file names none.
      whole: of a metric: it is one value of a whole split, `(outputs (N, ...), labels, weight of
        the samples (N,)) -> scalar`, and no mean of one value a sample.
      share: of a metric: it is a share of the samples, which is shown in percent.
      scalar: of a metric: it is one number, that can be logged, drawn and watched; of another one
        each run has that of the test split.
      sampler: of a loss: `(key, outputs) -> labels`, drawn from the distribution that it is the
        negative logarithm of.
      pool: of a loss: the outputs (M, B, K) of an ensemble's members as its own, (B, K); None for
        their mean.
      response: of a loss: its outputs (B, K) as probabilities, or as the means of numbers: the
        inverse of its link; None for scores of classes, which are no probabilities, and for numbers
        as they are.
      any_shape: of an augmentation: it is for samples of every shape and not for images alone.
      mixes: of an augmentation: it takes a batch, `(key, batch) -> batch`, whose labels are
        distributions.
      degrades: of an augmentation: it hides some of what an image shows, as noise does; the target
        of an autoencoder is then the image without it.
      in_files: whether a configuration may name it.
      path: of a linear solver: a cheaper one for many lambdas at once, `(X, y, lams, ...)`.
      views: of an augmentation: two draws of it and the image itself are views to compare.
    """

    place: Place = "gradients"
    role: str | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    fills: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    keeps: Keeps | None = None
    members: Callable[[Any], tuple[Params, jax.Array]] | None = None
    stopped: Callable[[Any], jax.Array] | None = None
    gave_up: Callable[[Any], jax.Array] | None = None
    skipped: Callable[[Any], jax.Array] | None = None
    rate_scale: Callable[[Any], jax.Array] | None = None
    any_rate: bool = False
    eval_params: Callable[[Any, Params], Params] | None = None
    shares: Callable[[Any, Mapping[str, Any]], float] | None = None
    cycle_end: Callable[..., Callable[[jax.typing.ArrayLike], jax.Array]] | None = None
    better: Better = "min"
    targets: tuple[Targets, ...] = ("classes",)
    unasked: tuple[Targets, ...] = ()
    whole: bool = False
    share: bool = False
    scalar: bool = True
    sampler: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    pool: Callable[[jax.Array], jax.Array] | None = None
    response: Callable[[jax.Array], jax.Array] | None = None
    any_shape: bool = False
    mixes: bool = False
    degrades: bool = False
    in_files: bool = True
    path: Callable[..., Any] | None = None
    views: bool = False


def declare(**what: Any) -> Callable[[F], F]:
    """Declare fields of a `Declaration` at a function or a class; others keep their defaults.

    Raises:
      ValueError: for something to be given that the program does not have.
    """
    declaration = replace(Declaration(), **what)
    unknown = set(declaration.given.values()) - set(get_args(Given))
    if unknown:
        raise ValueError(f"declare: given must be of {get_args(Given)}, got {sorted(unknown)}")

    def decorate(function: F) -> F:
        setattr(function, "declared", declaration)  # noqa: B010 - a function has no such field
        return function

    return decorate


def declared(function: Callable[..., Any]) -> Declaration:
    """What a function declares; of a partial application, what its function does."""
    own = getattr(function, "__dict__", {}).get("declared")
    if own is None and isinstance(function, functools.partial):
        return declared(function.func)
    return own or Declaration()


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, of which this may be a partial application."""
    return name_of(function.func) if isinstance(function, functools.partial) else function.__name__


def reads(kind: type, field: str) -> Callable[[Any], Any]:
    """`opt_state -> state.field` of the one state of that type in it, however deep it lies."""

    def read(opt_state: Any) -> Any:
        return getattr(find_state(opt_state, kind.__name__, kind), field)

    return read
