"""Which family each table of a configuration picks from: the one place that knows them all."""

import inspect
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxopt_lab.augment import ATTACKS, AUGMENTATIONS, MIXERS
from jaxopt_lab.config.schema import Choice
from jaxopt_lab.config.values import takes_toml
from jaxopt_lab.control import CONTROLS
from jaxopt_lab.core.declare import Better, Declaration, declared
from jaxopt_lab.core.metrics import measure_of
from jaxopt_lab.core.ranges import hints
from jaxopt_lab.data import DATASETS
from jaxopt_lab.linear import FEATURES, SOLVERS
from jaxopt_lab.losses import LOSSES, METRICS, PENALTIES
from jaxopt_lab.nn import MODELS
from jaxopt_lab.optimizers import OPTIMIZERS, sam
from jaxopt_lab.schedules import SCHEDULES
from jaxopt_lab.second_order import SECOND_ORDER


@dataclass(frozen=True)
class Family:
    """The functions that one table of the file names.

    Attributes:
      table: `{name: function}`; a view, so that what is put into a family's table can be named.
      given: arguments that the program gives and a file does not, beside those that a function
        declares itself.
      leading: how many positional arguments the program gives, whatever their names are.
      optional: arguments that a file may leave out though the function asks for them.
    """

    table: Mapping[str, Callable[..., Any]]
    given: frozenset[str] = frozenset()
    leading: int = 0
    optional: frozenset[str] = frozenset()

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """Those of the table that a file may name."""
        return {name: f for name, f in self.table.items() if declared(f).in_files}

    def arguments(self, name: str) -> dict[str, "Argument"]:
        """The arguments that a file can give to the function of that name."""
        function = self.table[name]
        given = self.given | declared(function).given.keys()
        annotations = hints(function)
        return {
            p.name: Argument(annotations.get(p.name, Any), p.default, p.name in self.optional)
            for p in list(inspect.signature(function).parameters.values())[self.leading :]
            if p.name not in given and takes_toml(annotations.get(p.name, Any))
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
    "loss": Family(LOSSES, leading=2),
    "metric": Family(METRICS, given=frozenset({"weight"}), leading=2),
    "penalty": Family(PENALTIES, leading=1),
    "augment": Family(ChainMap(MIXERS, AUGMENTATIONS)),
    "adversary": Family(ATTACKS),
    "optimizer": Family(ChainMap(SECOND_ORDER, OPTIMIZERS)),
    "schedule": Family(SCHEDULES, optional=frozenset({"steps"})),
    # `sam` comes first, because it takes the gradient again.
    "control": Family(ChainMap(CONTROLS, {"sam": sam})),
    "linear": Family(SOLVERS, given=frozenset({"lam", "classes"}), leading=2),
    "features": Family(FEATURES, given=frozenset({"key", "X"})),
}


def declared_by(family: str, choice: Choice) -> Declaration:
    """What the function that a choice names declares."""
    return declared(FAMILIES[family].functions[choice.name])


def names_with(family: str, wanted: Callable[[Declaration], Any]) -> list[str]:
    """The names of a family whose declarations are wanted, in the table's order."""
    functions = FAMILIES[family].functions
    return [name for name, function in functions.items() if wanted(declared(function))]


def better(metric: str) -> Better:
    """Whether a metric, "val_accuracy" for one, is better low or high."""
    measure = FAMILIES["metric"].functions.get(measure_of(metric))
    return "min" if measure is None else declared(measure).better
