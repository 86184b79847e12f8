"""Which family each table of a configuration picks from: the one place that knows them all."""

import inspect
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jaxopt_lab.augment import ATTACKS, AUGMENTATIONS, MIXERS
from jaxopt_lab.config.kinds import build_dataset, build_model, build_op, build_transformation
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.values import takes_toml
from jaxopt_lab.control import CONTROLS
from jaxopt_lab.core.declare import Better, Declaration, declared
from jaxopt_lab.core.errors import InputError, told
from jaxopt_lab.core.metrics import measure_of
from jaxopt_lab.core.own import own
from jaxopt_lab.core.ranges import hints
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.signatures import signature_of
from jaxopt_lab.data import DATASETS
from jaxopt_lab.linear import FEATURES, SOLVERS
from jaxopt_lab.losses import LOSSES, METRICS, PENALTIES
from jaxopt_lab.nn import INITIALIZERS, MODELS
from jaxopt_lab.optimizers import OPTIMIZERS, sam
from jaxopt_lab.schedules import SCHEDULES
from jaxopt_lab.second_order import SECOND_ORDER


class Named(dict[str, Callable[..., Any]]):
    """Functions by name; one that is missing is the user's to mend."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        raise InputError(
            f"{name!r} is no name here{nearest(name, self)}: it was read where names of one's own "
            "stood: build, train and look at it in the same `with extended(...)`"
        )


def call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a function gives for arguments by name."""
    return function(**arguments)


@dataclass(frozen=True)
class Family:
    """The functions that one table of the file names: those of the house and the user's own.

    Attributes:
      table: `{name: function}` of the house; a view, so that what is put into a family's table can
        be named.
      given: arguments that the program gives and a file does not, beside those that a function
        declares itself.
      leading: how many positional arguments the program gives, whatever their names are.
      optional: arguments that a file may leave out though the function asks for them.
      bare: a name stands for its function with every argument at its default.
      build: `(function, arguments) -> object` of the kind that the program uses, where a function
        of one's own may give something near it.
      name: of the table.
    """

    table: Mapping[str, Callable[..., Any]]
    given: frozenset[str] = frozenset()
    leading: int = 0
    optional: frozenset[str] = frozenset()
    bare: bool = False
    build: Callable[[Callable[..., Any], Mapping[str, Any]], Any] = call
    name: str = ""

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Those that a file may name."""
        found = {name: f for name, f in self.table.items() if declared(f).in_files}
        return Named(found | dict(own(self.name)))

    def make(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the function of that name gives.

        Raises:
          InputError: where a function of one's own fails, with its file and line.
        """
        function = self.functions[name]
        try:
            return self.build(function, arguments)
        except Exception as error:
            if name not in own(self.name):
                raise
            if type(error) is InputError:
                raise InputError(f"{self.name}: {name}: {error}") from error
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.name}: {name} failed: {told(error)}") from error

    def positions(self, function: Callable[..., Any]) -> int:
        """How many arguments the program gives by position: of a whole split the weights too."""
        return self.leading + declared(function).whole

    def arguments(self, name: str) -> dict[str, "Argument"]:
        """The arguments that a file can give to the function of that name."""
        if self.bare:
            return {}
        function = self.table.get(name) or self.functions[name]
        given = self.given | declared(function).given.keys()
        annotations = hints(function)
        return {
            p.name: Argument(annotations.get(p.name, Any), p.default, p.name in self.optional)
            for p in list(signature_of(function).parameters.values())[self.positions(function) :]
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            and p.name not in given
            and p.name != "name"  # in a file that of the function
            and takes_toml(annotations.get(p.name, Any))
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


_FAMILIES = {
    "data": Family(DATASETS, given=frozenset({"data_dir"}), build=build_dataset),
    # `parent` is a field of every Linen class.
    "model": Family(
        MODELS, given=frozenset({"outputs", "rngs", "key", "parent"}), build=build_model
    ),
    "loss": Family(LOSSES, leading=2),
    "metric": Family(METRICS, leading=2),
    "penalty": Family(PENALTIES, leading=1),
    "augment": Family(ChainMap(MIXERS, AUGMENTATIONS), build=build_op),
    "adversary": Family(ATTACKS),
    "optimizer": Family(ChainMap(SECOND_ORDER, OPTIMIZERS), build=build_transformation),
    "schedule": Family(SCHEDULES, optional=frozenset({"steps"})),
    # `sam` comes first, because it takes the gradient again.
    "control": Family(ChainMap(CONTROLS, {"sam": sam}), build=build_transformation),
    "linear": Family(SOLVERS, given=frozenset({"lam", "classes"}), leading=2),
    "features": Family(FEATURES, given=frozenset({"key", "X"})),
}
FAMILIES = {name: replace(family, name=name) for name, family in _FAMILIES.items()}
BRINGABLE = {**FAMILIES, "initializer": Family(INITIALIZERS, bare=True, name="initializer")}
"""Tables to which a user may bring names; an initializer is named by an argument, `model.init`."""


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
