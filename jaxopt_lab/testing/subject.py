"""A transformation as its promises look at it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from jaxopt_lab.core.signatures import signature_of, takes
from jaxopt_lab.core.tree import cast_like
from jaxopt_lab.core.types import Params
from jaxopt_lab.testing.extras import Extras
from jaxopt_lab.testing.promise import NotLookedAtError
from jaxopt_lab.testing.transformation import Given, waves


@dataclass(frozen=True)
class Subject:
    """What `check_transformation` was given, with its defaults filled in."""

    build: Callable[..., Any]
    """The factory, or a function without arguments that gives the ready transformation."""
    arguments: Mapping[str, Any]
    has_factory: bool
    rate: str
    static: tuple[str, ...]
    params: Params
    grads: Callable[[Params, Any], Params] | None
    extras: Extras
    extras_of: Callable[[Callable[[Params], jax.Array]], Extras]
    """Those of another loss than that of the checks' gradients."""
    metric: Callable[[Any], dict[str, Any]] | None
    bound: bool
    complex_numbers: bool
    steps: int
    share: float
    rtol: float
    atol: float

    @property
    def close(self) -> dict[str, float]:
        """The tolerances of a comparison of two programs."""
        return {"rtol": self.rtol, "atol": self.atol}

    def make(self, **changes: Any) -> Any:
        """The transformation, with some arguments changed."""
        return self.build(**{**self.arguments, **changes})

    def given(self, params: Params, step: Any) -> tuple[Params, dict[str, Any]]:
        """Gradients and extra arguments of a step."""
        grads = self.grads(params, step) if self.grads else waves(params, step)[0]
        if jax.tree.structure(grads) == jax.tree.structure(params):
            grads = cast_like(grads, params)  # as jax.grad gives them
        return grads, self.extras(params, step)

    def valued_at(self, whole: Params) -> Given:
        """`given` with the loss of all parameters, whichever of them are there."""

        def given(params: Params, step: Any) -> tuple[Params, dict[str, Any]]:
            grads, extra = self.given(params, step)
            return grads, extra | {
                k: v for k, v in self.extras(whole, step).items() if k == "value"
            }

        return given

    def require_factory(self) -> None:
        """Raises `NotLookedAtError` where a ready transformation was given."""
        if not self.has_factory:
            raise NotLookedAtError("it needs a function that makes the transformation")

    def require_rate(self) -> None:
        """Raises `NotLookedAtError` where there is no learning rate to change."""
        self.require_factory()
        if not takes(self.build, self.rate):
            raise NotLookedAtError(f"the function takes no {self.rate}; name it with rate=")

    def require_other_trees(self) -> None:
        """Raises `NotLookedAtError` where extra arguments are of the given parameters only."""
        if self.bound:
            raise NotLookedAtError("the extra arguments are of the given parameters (bound=True)")

    def all_arguments(self) -> dict[str, Any]:
        """The factory's arguments with its own defaults."""
        bound = signature_of(self.build).bind(**self.arguments)
        bound.apply_defaults()
        kinds = signature_of(self.build).parameters
        several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return {k: v for k, v in bound.arguments.items() if kinds[k].kind not in several}

    def floats(self) -> dict[str, float]:
        """The arguments that are numbers, but for those that count or are static."""
        found = self.all_arguments().items()
        return {k: v for k, v in found if isinstance(v, float) and k not in self.static}

    def not_injected(self) -> tuple[str, ...]:
        """The arguments that are no numbers: `static_args` of `optax.inject_hyperparams`."""
        floats = self.floats()
        return tuple(k for k in self.all_arguments() if k not in floats)

    def named(self) -> Callable[..., Any]:
        """The factory as a function, which `inject_hyperparams` can read."""
        if isinstance(self.build, functools.partial):
            signature = signature_of(self.build)
            build = lambda *args, **kwargs: self.build(*args, **kwargs)  # noqa: E731
            vars(build)["__signature__"] = signature
            return build
        return self.build
