"""Which family each table of a configuration picks from: the one place that knows them all."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxopt_lab.augment import ATTACKS, AUGMENTATIONS, MIXERS
from jaxopt_lab.config.values import takes_toml
from jaxopt_lab.control import CONTROLS
from jaxopt_lab.core.ranges import hints
from jaxopt_lab.data import DATASETS
from jaxopt_lab.linear import FEATURES, fit, ols, ridge
from jaxopt_lab.losses import LOSSES, PENALTIES
from jaxopt_lab.nn import MODELS
from jaxopt_lab.optimizers import OPTIMIZERS, sam
from jaxopt_lab.schedules import SCHEDULES
from jaxopt_lab.second_order import SECOND_ORDER


@dataclass(frozen=True)
class Family:
    """The functions that one table of the file names.

    Attributes:
      functions: `{name: function}`.
      given: arguments that the program gives and a file does not.
      optional: arguments that a file may leave out though the function asks for them.
    """

    functions: Mapping[str, Callable[..., Any]]
    given: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    def arguments(self, name: str) -> dict[str, "Argument"]:
        """The arguments that a file can give to the function of that name."""
        function = self.functions[name]
        annotations = hints(function)
        return {
            p.name: Argument(annotations.get(p.name, Any), p.default, p.name in self.optional)
            for p in inspect.signature(function).parameters.values()
            if p.name not in self.given and takes_toml(annotations.get(p.name, Any))
        }


@dataclass(frozen=True)
class Argument:
    """One argument: its annotation, its default, and whether the program can fill it in."""

    hint: Any
    default: Any
    optional: bool

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty and not self.optional


FAMILIES = {
    "data": Family(DATASETS, given=frozenset({"data_dir"})),
    "model": Family(MODELS, given=frozenset({"outputs"})),
    "loss": Family(LOSSES, given=frozenset({"outputs", "labels"})),
    "penalty": Family(PENALTIES, given=frozenset({"params"})),
    "augment": Family({**AUGMENTATIONS, **MIXERS}),
    "adversary": Family(ATTACKS),
    "optimizer": Family({**OPTIMIZERS, **SECOND_ORDER}),
    "schedule": Family(SCHEDULES, optional=frozenset({"steps"})),
    "control": Family(
        {"sam": sam} | CONTROLS,  # first of a chain: it takes the gradient anew
        given=frozenset({"inner", "is_cycle_end", "learning_rate", "seed"}),
    ),
    "linear": Family(
        {f.__name__: f for f in (ols, ridge, fit)},
        given=frozenset({"X", "y", "lam", "classes"}),
    ),
    "features": Family(FEATURES, given=frozenset({"key", "X"})),
}
