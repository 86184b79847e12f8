"""Tables as `tomllib` gives them, checked against `sections.py`, with every fault in one error."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jaxopt_lab.config.axes import axis_values
from jaxopt_lab.config.sections import (
    BALANCED,
    LISTS,
    TRACKERS,
    WITHIN_LOSS,
    WITHIN_OPTIMIZER,
    Choice,
    DataConfig,
    GroupConfig,
    LinearConfig,
    LogConfig,
    MeshConfig,
    MeshRule,
    MlflowConfig,
    StartConfig,
    TensorBoardConfig,
    TrainConfig,
    WandbConfig,
)
from jaxopt_lab.config.tables import FAMILIES, Argument, Family, better, names_with
from jaxopt_lab.config.values import conform, expected, varies
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import FilePath, NonNegative
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.renames import renames_of

CHECKED = ("model", "augment", "adversary")
REQUIRED = ("data", "model", "optimizer", "train")
LINEAR = ("data", "linear")


class ConfigError(InputError):
    """A configuration with faults.

    Attributes:
      faults: `(dotted path, message)` of each.
    """

    def __init__(self, source: str, faults: Sequence[tuple[str, str]]):
        self.source = source
        self.faults: tuple[tuple[str, str], ...] = tuple(faults)
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {p}: {m}" for p, m in faults)]))


def checked_fields(
    whole: type, tables: Mapping[str, Any], *, source: str = "config"
) -> dict[str, Any]:
    """Values for the fields of the dataclass of a whole configuration, from its tables.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    return _Parser(source, whole).config(tables)


def parse_linear_config(tables: Mapping[str, Any], *, source: str = "config") -> LinearConfig:
    """Check the tables of a linear model; see `load.load_linear_config`.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    return _Parser(source).linear_config(tables)


def parse_data_config(tables: Mapping[str, Any], *, source: str = "config") -> DataConfig:
    """Check the table `[data]` alone, whatever else there is.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    parser = _Parser(source)
    table = tables.get("data")
    if not isinstance(table, dict):
        raise ConfigError(source, [("data", "missing; [data] names a data set")])
    found = parser.section("data", table)
    if parser.faults:
        raise ConfigError(source, parser.faults)
    return found


def parse_mesh(table: Mapping[str, Any], *, source: str = "mesh") -> MeshConfig:
    """Check a table `[mesh]`.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    parser = _Parser(source)
    found = parser.mesh(dict(table))
    if parser.faults:
        raise ConfigError(source, parser.faults)
    return found


def parse_fields(
    path: str, section: type, table: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Values for the fields of a dataclass, and the faults in them."""
    parser = _Parser(path)
    return parser.values(path, section, dict(table)), parser.faults


class _Parser:
    """Collects faults while it converts, so that all are told at once."""

    def __init__(self, source: str, whole: type = LinearConfig):
        """Of faults in `source`; `whole` is the dataclass that the tables are to be."""
        self.source, self.whole = source, whole
        self.faults: list[tuple[str, str]] = []

    def config(self, tables: Mapping[str, Any]) -> dict[str, Any]:
        within = (*WITHIN_LOSS, *WITHIN_OPTIMIZER)
        known = [f.name for f in dataclasses.fields(self.whole) if f.name not in within]
        if not tables:
            raise InputError(f"{self.source}: empty; a run needs {_listed(REQUIRED)}")
        if "linear" in tables:
            raise InputError(
                f"{self.source}: has [linear]; solve it with: jaxopt-lab linear CONFIG"
            )
        if "sweep" in tables:
            raise InputError(f"{self.source}: has [sweep]; run it with: jaxopt-lab sweep CONFIG")
        self.unknown("", tables, known)
        for name in REQUIRED:
            if name not in tables:
                self.faults.append((name, f"missing; a run needs {_listed(REQUIRED)}"))
        found: dict[str, Any] = {}
        for name in known:
            if name not in tables:
                continue
            if name == "seed":
                found |= self.values("", self.whole, {"seed": tables["seed"]})
            elif name == "group":
                found[name] = self.groups(tables[name])
            elif name in LISTS:
                found[name] = self.choices(name, tables[name])
            elif self.is_table(name, tables[name]):
                table = tables[name]
                if name == "loss":
                    found |= self.loss(table)
                elif name == "optimizer":
                    found |= self.optimizer(table)
                else:
                    found[name] = self.section(name, table)
        if self.faults:
            raise ConfigError(self.source, self.faults)
        return found

    def linear_config(self, tables: Mapping[str, Any]) -> LinearConfig:
        if "linear" not in tables and "model" in tables:
            raise InputError(f"{self.source}: has [model]; train it with: jaxopt-lab train CONFIG")
        known = ("seed", *LINEAR, "features")
        self.unknown("", tables, known)
        for name in LINEAR:
            if not isinstance(tables.get(name), dict):
                self.faults.append((name, f"missing; a linear model needs {_listed(LINEAR)}"))
        found = self.values("", LinearConfig, {k: v for k, v in tables.items() if k == "seed"})
        if isinstance(tables.get("data"), dict):
            found["data"] = self.section("data", tables["data"])
        if "features" in tables and self.is_table("features", tables["features"]):
            found["features"] = self.choice("features", "features", tables["features"])
        if isinstance(tables.get("linear"), dict):
            table = dict(tables["linear"])
            lam, name = table.pop("lam", None), table.get("name")
            solvers = FAMILIES["linear"].functions
            found["solver"] = self.choice("linear", "linear", table, beside=("lam",))
            name = name if isinstance(name, str) else None  # said by `choice`
            takers = [n for n, f in solvers.items() if "lam" in inspect.signature(f).parameters]
            if name in takers:
                found["lam"] = self.lams(lam)
            elif lam is not None and name in solvers:
                self.faults.append(("linear.lam", f"{name} takes none; {' and '.join(takers)} do"))
        if self.faults:
            raise ConfigError(self.source, self.faults)
        return LinearConfig(**found)

    def lams(self, value: Any) -> tuple[float, ...]:
        values, wrong = axis_values(value)
        if value is None:
            wrong = "missing; a number, a list, or a range such as {log = [1e-3, 1.0], n = 30}"
        elif not wrong and min(values) < 0:
            wrong = f"must be >= 0, got {min(values)}"
        if wrong:
            self.faults.append(("linear.lam", wrong))
        return values

    def section(self, name: str, table: dict[str, Any]) -> Any:
        if name == "data":
            fields = {f.name for f in dataclasses.fields(DataConfig)} - {"source"}
            own = {k: v for k, v in table.items() if k in fields}
            rest = {k: v for k, v in table.items() if k not in fields}
            if "target" in rest and not _takes("data", rest.get("name"), "target"):
                rest.pop("target")
                self.faults.append(("data.target", "was renamed: reconstruct = true"))
            source = self.choice(name, "data", rest, beside=fields)
            return DataConfig(source=source, **self.values(name, DataConfig, own))
        if name == "train":
            renames = {"data_parallel": '[mesh] data = "all"'}
            self.unknown(name, table, [f.name for f in dataclasses.fields(TrainConfig)], renames)
            train = TrainConfig(**self.values(name, TrainConfig, table))
            if (train.epochs is None) == (train.steps is None) and not (
                {"epochs", "steps"} & {p.split(".")[-1] for p, _ in self.faults}
            ):
                given = "both are" if train.epochs else "neither is"
                self.faults.append((name, f"needs epochs or steps, one of the two; {given} given"))
            return train
        if name == "log":
            return self.log(table)
        if name == "mesh":
            return self.mesh(table)
        if name == "start":
            return self.start(table)
        return self.choice(name, name, table)

    def mesh(self, table: dict[str, Any]) -> MeshConfig:
        """`[mesh]` and its `[[mesh.rule]]`."""
        self.unknown("mesh", table, [f.name for f in dataclasses.fields(MeshConfig)])
        rules, own = table.get("rule", []), {k: v for k, v in table.items() if k != "rule"}
        found, known = [], [f.name for f in dataclasses.fields(MeshRule)]
        for i, rule in enumerate(rules if isinstance(rules, list) else [rules]):
            path, before = f"mesh.rule.{i}", len(self.faults)
            if not self.is_table(path, rule):
                continue
            self.unknown(path, rule, known)
            for name in known:
                if name not in rule:
                    self.faults.append((f"{path}.{name}", "missing; a rule needs match and axes"))
            values = self.values(path, MeshRule, rule)
            if "match" in rule:
                self.pattern(f"{path}.match", rule, "")
            if len(self.faults) == before:
                found.append(MeshRule(**values))
        return MeshConfig(**self.values("mesh", MeshConfig, own), rule=tuple(found))

    def log(self, table: dict[str, Any]) -> LogConfig:
        """`[log]`, whose trackers are tables, or `true` for one without keys that it must have."""
        self.unknown("log", table, [f.name for f in dataclasses.fields(LogConfig)])
        sections = (TensorBoardConfig, WandbConfig, MlflowConfig)
        found: dict[str, Any] = {}
        for key, section in zip(TRACKERS, sections, strict=True):
            if (given := table.get(key, False)) is False:
                continue
            path, before = f"log.{key}", len(self.faults)
            known = dataclasses.fields(section)
            needs = [f.name for f in known if f.default is dataclasses.MISSING]
            if given is not True and not isinstance(given, dict):
                text = f"must be true, false or a table of {', '.join(f.name for f in known)}"
                self.faults.append((path, f"{text}, got {given!r}"))
                continue
            own = {} if given is True else given
            self.unknown(path, own, [f.name for f in known])
            for name in needs:
                if own.get(name, None) in (None, ""):
                    self.faults.append((f"{path}.{name}", f"missing; {_TRACKER_NEEDS[name]}"))
            values = self.values(path, section, own)
            if len(self.faults) == before and (wrong := _wrong_store(values.get("uri"))):
                self.faults.append((f"{path}.uri", wrong))
            if len(self.faults) == before:
                found[key] = section(**values)
        rest = {k: v for k, v in table.items() if k not in TRACKERS}
        return LogConfig(**self.values("log", LogConfig, rest), **found)

    def start(self, table: dict[str, Any]) -> StartConfig:
        """`[start]`, whose `from` is a word of Python, and whose rules may be a table."""
        known = [f.name for f in dataclasses.fields(StartConfig) if f.name != "source"]
        self.unknown("start", table, ["from", *known])
        rules = table.get("rename", [])
        if isinstance(rules, dict):
            table = table | {"rename": [list(rule) for rule in rules.items()]}
        values = self.values("start", StartConfig, {k: table[k] for k in known if k in table})
        if "from" not in table:
            text = "missing; the folder of a run, or a .safetensors file"
            self.faults.append(("start.from", text))
        source, wrong = conform(FilePath, table.get("from", "."))
        if wrong:
            self.faults.append(("start.from", wrong))
        if values.get("step") is not None and "which" in table:
            self.faults.append(("start.step", "says which parameters already: leave out which"))
        before = len(self.faults)
        for i, rule in enumerate(values.get("rename", ())):
            if wrong := _wrong_rule(rule):
                self.faults.append((f"start.rename.{i}", wrong))
        values = {k: v for k, v in values.items() if k != "rename" or len(self.faults) == before}
        return StartConfig(source=source, **values)

    def loss(self, table: dict[str, Any]) -> dict[str, Any]:
        """`[loss]`, with what is no argument of the function."""
        own = {k: v for k, v in table.items() if k in WITHIN_LOSS}
        weights = own.pop("class_weights", None)
        rest = {k: v for k, v in table.items() if k not in WITHIN_LOSS}
        found = self.values("loss", self.whole, own)
        if weights is not None:
            found["class_weights"] = self.class_weights(weights)
        if not rest:  # the targets will say which
            return found
        (default,) = names_with("loss", lambda d: "classes" in d.unasked)
        rest = {"name": default} | rest
        return found | {"loss": self.choice("loss", "loss", rest, beside=WITHIN_LOSS)}

    def optimizer(self, table: dict[str, Any]) -> dict[str, Any]:
        """`[optimizer]`, with what is no argument of the function."""
        own = {k: v for k, v in table.items() if k in WITHIN_OPTIMIZER}
        rest = {k: v for k, v in table.items() if k not in WITHIN_OPTIMIZER}
        found = self.values("optimizer", self.whole, own)
        return found | {
            "optimizer": self.choice("optimizer", "optimizer", rest, beside=WITHIN_OPTIMIZER)
        }

    def groups(self, value: Any) -> tuple[GroupConfig, ...]:
        """`[[group]]`, each with an `[group.optimizer]` perhaps."""
        found, known = [], [f.name for f in dataclasses.fields(GroupConfig)]
        for i, table in enumerate(value if isinstance(value, list) else [value]):
            path = f"group.{i}"
            if not self.is_table(path, table):
                continue
            self.unknown(path, table, known)
            own = {k: v for k, v in table.items() if k in known and k != "optimizer"}
            before = len(self.faults)
            values = self.values(path, GroupConfig, own)
            if "optimizer" in table and self.is_table(f"{path}.optimizer", table["optimizer"]):
                values["optimizer"] = self.choice(
                    f"{path}.optimizer", "optimizer", table["optimizer"]
                )
            self.pattern(f"{path}.match", table, "a group needs it: a regular expression")
            if len(self.faults) > before:
                continue
            rule = GroupConfig(**values)
            if rule.freeze and rule != GroupConfig(rule.match, freeze=True):
                others = ", ".join(sorted(table.keys() - {"match", "freeze"}))
                self.faults.append((f"{path}.freeze", f"leaves nothing to do for {others}"))
            found.append(rule)
        return tuple(found)

    def pattern(self, path: str, table: Mapping[str, Any], why: str) -> None:
        """A fault where `match` is missing, or is no regular expression."""
        if "match" not in table:
            self.faults.append((path, f"missing; {why}"))
            return
        try:
            re.compile(str(table["match"]))
        except re.error as error:
            text = f"is no regular expression: {error}, got {table['match']!r}"
            self.faults.append((path, text))

    def class_weights(self, value: Any) -> Any:
        """`class_weights`, by name or in a word."""
        path = "loss.class_weights"
        if isinstance(value, dict) and value:
            known = {name: Argument(NonNegative, None, True) for name in value}
            return self.conformed(path, known, value)
        if value != BALANCED:
            text = f'must be "{BALANCED}", or numbers by class, {{ cat = 9.0 }}, got {value!r}'
            self.faults.append((path, text))
        return value

    def choices(self, name: str, value: Any) -> tuple[Choice, ...]:
        if isinstance(value, dict):
            return (self.choice(name, name, value),)
        if not isinstance(value, list):
            self.is_table(name, value)
            return ()
        return tuple(
            self.choice(f"{name}.{i}", name, item)
            for i, item in enumerate(value)
            if self.is_table(f"{name}.{i}", item)
        )

    def choice(
        self, path: str, family_name: str, table: dict[str, Any], beside: Iterable[str] = ()
    ) -> Choice:
        family = FAMILIES[family_name]
        name = table.get("name")
        given = {k: v for k, v in table.items() if k != "name"}
        if not isinstance(name, str) or name not in family.functions:
            names = ", ".join(sorted(family.functions))
            came = f"unknown: {name!r}{nearest(str(name), family.functions)}" if name else "missing"
            self.faults.append((f"{path}.name", f"{came}; one of {names}"))
            any_entry = {key for entry in family.functions for key in family.arguments(entry)}
            self.unknown(path, given, sorted({*any_entry, *beside}))
            return Choice("")
        known = family.arguments(name)
        self.unknown(path, given, [*known, *beside], renames_of(family.functions[name]))
        for key, argument in known.items():
            if argument.required and key not in given:
                text = f"missing; {name} needs it: {expected(argument.hint)}"
                self.faults.append((f"{path}.{key}", text))
        before = len(self.faults)
        arguments = self.conformed(path, known, given)
        if family_name == "control" and {"monitor", "mode"} <= known.keys():
            # A metric says itself whether high is better.
            watched = arguments.get("monitor", known["monitor"].default)
            arguments.setdefault("mode", better(str(watched)))
        house = name in family.table  # a user's own code is not run for a check
        if len(self.faults) == before and house and family_name in CHECKED:
            self.constructible(path, family, name, arguments)
        return Choice(name, arguments)

    def constructible(
        self, path: str, family: Family, name: str, arguments: dict[str, Any]
    ) -> None:
        """Call the function, which costs nothing before data, for what only it can check."""
        given = {"outputs": 2} if "outputs" in family.given else {}
        missing = [k for k, a in family.arguments(name).items() if a.required]
        if set(missing) - set(arguments):
            return
        try:
            family.functions[name](**given, **arguments)
        except ArgumentError as error:
            self.faults += [(f"{path}.{k}", text) for k, text in error.faults.items()]
        except InputError as error:
            self.faults.append((path, str(error)))

    def values(self, path: str, section: type, table: dict[str, Any]) -> dict[str, Any]:
        annotations = typing.get_type_hints(section, include_extras=True)
        known = {k: Argument(hint, None, True) for k, hint in annotations.items()}
        return self.conformed(path, known, table)

    def conformed(
        self, path: str, known: Mapping[str, Argument], given: dict[str, Any]
    ) -> dict[str, Any]:
        found = {}
        for key in known.keys() & given.keys():
            if isinstance(given[key], dict) and key != "learning_rate" and varies(known[key].hint):
                found[key] = self.choice(_joined(path, key), "schedule", given[key])
                continue
            found[key], wrong = conform(known[key].hint, given[key])
            if wrong:
                self.faults.append((_joined(path, key), wrong))
        return {key: found[key] for key in given if key in found}  # in the file's order

    def unknown(
        self,
        path: str,
        table: Mapping[str, Any],
        known: Sequence[str],
        renames: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        for key in table:
            if key in renames and key not in known:
                self.faults.append((_joined(path, key), f"was renamed {renames[key]}"))
            elif key not in known:
                hint = _home(path, key, table) or nearest(key, known)
                text = f"unknown{hint}; known here: {', '.join(known)}"
                self.faults.append((_joined(path, key), text))

    def is_table(self, path: str, value: Any) -> bool:
        if not isinstance(value, dict):
            table = f"[[{path}]]" if path in LISTS else f"[{path}]"
            self.faults.append((path, f"must be a table, {table}, got {value!r}"))
        return isinstance(value, dict)


def _home(path: str, key: str, table: Mapping[str, Any]) -> str | None:
    """Of which table a key is that stands in another one."""
    for name, section in (("data", DataConfig), ("train", TrainConfig)):
        if name != path and key in section.__dataclass_fields__:
            return f", it is a key of [{name}]"
    own = {} if path else {k: v for k, v in table.items() if k in FAMILIES and isinstance(v, dict)}
    return next(
        (f", it is a key of [{k}]" for k in own if _takes(k, own[k].get("name"), key)), None
    )


def _takes(family: str, name: Any, key: str) -> bool:
    """Whether a function of a family, where it is one, has an argument."""
    known = isinstance(name, str) and name in FAMILIES[family].functions
    return known and key in FAMILIES[family].arguments(name)


def _wrong_rule(rule: Any) -> str | None:
    """What is wrong with a rule `[pattern, replacement]`, or None."""
    if not isinstance(rule, tuple) or len(rule) != 2:
        return f"must be [pattern, replacement], got {list(rule)!r}"
    pattern, replacement = rule
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no regular expression: {error}, got {pattern!r}"
    try:
        re.sub(pattern, replacement, "")
    except (re.error, IndexError) as error:
        return f"cannot be put in the place of {pattern!r}: {error}, got {replacement!r}"
    return None


_TRACKER_NEEDS = {
    "project": 'the name of a project, wandb = { project = "digits" }',
    "uri": 'the store, mlflow = { uri = "sqlite:///mlflow.db" }',
}


def _wrong_store(uri: str | None) -> str | None:
    """What is wrong with the URI of a store of MLflow, or None."""
    if uri is None or ("://" in uri and not uri.startswith("file:")):
        return None
    return (
        "must be a database or a server, because MLflow refuses folders by now: "
        f'"sqlite:///mlflow.db" or "http://localhost:5000", got {uri!r}'
    )


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}]" for name in names)
