"""A `Config` back to TOML, with every default filled in."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.items import Item

from jaxopt_lab.config.files import without_paths
from jaxopt_lab.config.sections import TRACKERS, Choice, LinearConfig, MeshConfig
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.readable import is_control

if TYPE_CHECKING:
    from jaxopt_lab.config.schema import Config  # which writes itself by this


def to_toml(config: "Config | LinearConfig") -> str:
    """The resolved configuration as a TOML file; `load_config` reads it back as it was."""
    return tables_to_toml(to_tables(config))


def tables_to_toml(tables: Mapping[str, Any]) -> str:
    """Tables as `tomllib` gives them as a TOML file."""
    return _escaped(tomlkit.dumps({name: _table(value) for name, value in tables.items()}))


def toml_value(value: Any) -> str:
    """A value as TOML has it, within a line."""
    return _escaped(_inline(value).as_string())


def _table(value: Any) -> Any:
    """A table, or several of one name, whose values are within a line each; else a value."""
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [_table(each) for each in value]
    if isinstance(value, dict):
        return {key: _inline(each) for key, each in value.items()}
    return _inline(value)


def _inline(value: Any) -> Item:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({key: _inline(each) for key, each in value.items()})
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(map(_inline, value))
        return array
    return tomlkit.item(value)


def _escaped(written: str) -> str:
    """What would move or turn the text around it, which TOML allows in a text, by its number."""
    kept = (c if c == "\n" or not is_control(c) else f"\\U{ord(c):08x}" for c in written)
    return "".join(kept)


def config_hash(config: "Config") -> str:
    """SHA-256 of the resolved configuration, in hex, without what may differ where a run goes on.

    That is `[mesh]`, the devices that it runs on, the paths of its data, of which a run knows the
    fingerprint, and `train.checkpoint_seconds`, `train.keep` and the trackers in `[log]`, which
    change no number of a run; and `train.xla` unless it is given, because a run goes on with what
    its checkpoint says.
    """
    log = dataclasses.replace(config.log, **dict.fromkeys(TRACKERS))
    tables = without_paths(to_tables(dataclasses.replace(config, mesh=MeshConfig(), log=log)))
    for key in ("checkpoint_seconds", "keep"):
        del tables["train"][key]
    if config.train.xla == "auto":
        del tables["train"]["xla"]
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def to_tables(config: "Config | LinearConfig") -> dict[str, Any]:
    """The configuration as plain tables, every default filled in; `parse_config` reads it back."""

    def choice(family: str, chosen: Choice) -> dict[str, Any]:
        known = FAMILIES[family].arguments(chosen.name)
        values = {
            name: chosen.arguments.get(name, argument.default) for name, argument in known.items()
        }
        return {"name": chosen.name} | {
            k: choice("schedule", v)
            if isinstance(v, Choice)
            else (list(v) if isinstance(v, tuple) else v)
            for k, v in values.items()
            if isinstance(v, bool | int | float | str | tuple | list | Choice)
        }

    def fields(section: Any) -> dict[str, Any]:
        values = {f.name: getattr(section, f.name) for f in dataclasses.fields(section)}
        return {k: v for k, v in values.items() if v is not None and not isinstance(v, Choice)}

    tables: dict[str, Any] = {"seed": config.seed}
    tables["data"] = choice("data", config.data.source) | fields(config.data)
    if isinstance(config, LinearConfig):
        tables["linear"] = choice("linear", config.solver)
        if config.lam:
            tables["linear"]["lam"] = list(config.lam)
        if config.features:
            tables["features"] = choice("features", config.features)
        return tables
    tables["model"] = choice("model", config.model)
    named = {} if config.loss is None else choice("loss", config.loss)
    tables["loss"] = named | {"consistency": config.consistency}
    if config.class_weights is not None:
        weights = config.class_weights
        tables["loss"]["class_weights"] = weights if isinstance(weights, str) else dict(weights)
    tables["metric"] = [choice("metric", c) for c in config.metric]
    tables["penalty"] = [choice("penalty", c) for c in config.penalty]
    tables["augment"] = [choice("augment", c) for c in config.augment]
    if config.adversary is not None:
        tables["adversary"] = choice("adversary", config.adversary)
    tables["optimizer"] = choice("optimizer", config.optimizer)
    if config.layer_decay != 1:
        tables["optimizer"]["layer_decay"] = config.layer_decay
    tables["group"] = [
        fields(rule)
        | ({"optimizer": choice("optimizer", rule.optimizer)} if rule.optimizer else {})
        for rule in config.group
    ]
    schedules = [choice("schedule", c) for c in config.schedule]
    tables["schedule"] = schedules[0] if len(schedules) == 1 else schedules
    tables["control"] = [choice("control", c) for c in config.control]
    if config.start is not None:
        start = {"from": config.start.source} | fields(config.start)
        del start["source"]
        start["rename"] = [list(rule) for rule in config.start.rename]
        tables["start"] = {k: v for k, v in start.items() if v != []}
    tables["train"] = fields(config.train)
    if config.mesh != MeshConfig():
        tables["mesh"] = fields(config.mesh)
        tables["mesh"]["rule"] = [fields(r) | {"axes": list(r.axes)} for r in config.mesh.rule]
    if log := fields(config.log):
        trackers = {k: fields(v) for k, v in log.items() if dataclasses.is_dataclass(v)}
        tables["log"] = log | trackers
    return {k: v for k, v in tables.items() if v != []}
