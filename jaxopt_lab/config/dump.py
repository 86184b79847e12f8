"""A `Config` back to TOML, with every default filled in."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    lines: list[str] = []
    # A value after a table would be one of its own.
    for name, table in sorted(tables.items(), key=lambda kv: isinstance(kv[1], dict | list)):
        if not isinstance(table, dict | list):
            lines.append(f"{name} = {toml_value(table)}")
        for item in table if isinstance(table, list) else [table]:
            if isinstance(item, dict):
                lines += ["", f"[[{name}]]" if isinstance(table, list) else f"[{name}]"]
                lines += [f"{_key(key)} = {toml_value(value)}" for key, value in item.items()]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _string(key)


def toml_value(value: Any) -> str:
    """A TOML value; JSON writes booleans and finite numbers just so."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(k)} = {toml_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    """A text as JSON writes it, and what would move or turn the text around it by its number."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(f"\\u{ord(c):04x}" if is_control(c) else c for c in written)


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
