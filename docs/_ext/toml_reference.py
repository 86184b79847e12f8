"""The reference of the configuration, written at each build from the tables that check a file.

The same `Family`, `Argument` and `expected` as `jaxopt-lab list` uses, and the dataclasses of
`config/sections.py`: what a page says is what the program takes.
"""

import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import (
    LISTS,
    WITHIN_LOSS,
    WITHIN_OPTIMIZER,
    Choice,
    LinearConfig,
)
from jaxopt_lab.config.sweep import SweepConfig
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.config.values import expected
from jaxopt_lab.run.commands.listing import ELSEWHERE, TITLES, default_text

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKER = "<!-- the tables of the program -->"
_KEYS = {"start": {"source": "from"}}  # words of Python
_WITHIN = {**dict.fromkeys(WITHIN_LOSS, "loss"), **dict.fromkeys(WITHIN_OPTIMIZER, "optimizer")}


def reference() -> str:
    """All tables, as Markdown."""
    tables = _tables(Config)
    parts = ["## Above all tables", _keys(Config, tables.pop("", []))]
    for name, rows in tables.items():
        parts += [f"## `{_header(name)}`", *_table(name, Config, rows)]
    parts += ["## `[sweep]`", _first(SweepConfig), _keys(SweepConfig, _fields(SweepConfig))]
    own = [field for field in _fields(LinearConfig) if field.name == "lam"]
    parts += ["## `[linear]`", _keys(LinearConfig, own), *_names("linear")]
    parts += ["## `[features]`", *_names("features")]
    for name in ("initializer", "corruptions"):
        parts += [f"## {TITLES[name].partition(':')[0].capitalize()}", *_bare(name)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _tables(kind: type) -> dict[str, list[dataclasses.Field[Any]]]:
    """Which fields of a `Config` a file has in which table; "" for above them all."""
    hints = typing.get_type_hints(kind)
    found: dict[str, list[dataclasses.Field[Any]]] = {}
    for field in _fields(kind):
        inner = _dataclass_in(hints[field.name])
        table = field.name if inner else _WITHIN.get(field.name, "")
        found.setdefault(table, [])
        if not inner:
            found[table].append(field)
    return found


def _table(name: str, kind: type, rows: list[dataclasses.Field[Any]]) -> Iterator[str]:
    """One table: its own keys, the tables within it, and the names that it may have."""
    section = _dataclass_in(typing.get_type_hints(kind)[name])
    if section is not Choice:
        yield _first(section)
        rows, kind = _fields(section), section
    hints = typing.get_type_hints(kind)
    inner = {f.name: _dataclass_in(hints[f.name]) for f in rows}
    yield _keys(kind, [f for f in rows if not inner[f.name]], name)
    if name in FAMILIES:
        yield from _names(name)
    for key, within in inner.items():
        if within is Choice:
            if key != "source":
                yield f"`[{name}.{key}]` is as `[{key}]`."
        elif within:
            yield f"### `{_header(f'{name}.{key}', key == 'rule')}`"
            yield _first(within)
            yield _keys(within, _fields(within))


def _names(family: str) -> Iterator[str]:
    """Each name of a family with its arguments."""
    for name, function in FAMILIES[family].functions.items():
        inner = function.func if isinstance(function, functools.partial) else function
        about = inspect.getdoc(inner) or ""
        texts = told_arguments(about)
        yield f"### `{name}`"
        yield about.partition("\n")[0]
        rows = [
            (key, "required" if a.required else default_text(a.default), expected(a.hint), texts)
            for key, a in FAMILIES[family].arguments(name).items()
        ]
        yield _rows((key, default, kind, texts.get(key, "")) for key, default, kind, texts in rows)


def _bare(family: str) -> Iterator[str]:
    """Names that a file gives as words, with a line on each."""
    lines = []
    for name, function in ELSEWHERE[family].functions.items():
        inner = function.func if isinstance(function, functools.partial) else function
        lines.append(f"| `{name}` | {(inspect.getdoc(inner) or '').partition(chr(10))[0]} |")
    yield "\n".join(["| name | what it is |", "|---|---|", *lines])


def _keys(kind: type, fields: Iterable[dataclasses.Field[Any]], table: str = "") -> str:
    """The fields of a dataclass as keys of a file."""
    hints = typing.get_type_hints(kind, include_extras=True)
    texts = told_arguments(inspect.getdoc(kind) or "", "Attributes")
    renamed = _KEYS.get(table, {})
    return _rows(
        (renamed.get(f.name, f.name), _shown(f), expected(hints[f.name]), texts.get(f.name, ""))
        for f in fields
    )


def _rows(rows: Iterable[tuple[str, str, str, str]]) -> str:
    found = [
        f"| `{key}` | {default if default == 'required' else f'`{default}`'} | {kind} | {text} |"
        for key, default, kind, text in (map(_cell, row) for row in rows)
    ]
    return "\n".join(["| key | default | takes | |", "|---|---|---|---|", *found]) if found else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return default_text(field.default)
    return "(none)" if field.default_factory is not dataclasses.MISSING else "required"


def told_arguments(about: str, section: str = "Args") -> dict[str, str]:
    """What a docstring says of each argument, in one line each."""
    match = re.search(rf"^{section}:\n((?:  .*\n?|\n(?=  ))*)", about, re.MULTILINE)
    found: dict[str, str] = {}
    for entry in re.findall(r"^  (\S.*(?:\n    .*)*)", match[1] if match else "", re.MULTILINE):
        names, _, text = " ".join(entry.split()).partition(": ")
        found |= dict.fromkeys(names.split(", "), text)
    return found


def _first(kind: type) -> str:
    """What a section is, in the words after its header."""
    text = (inspect.getdoc(kind) or "").partition("\n")[0].partition(": ")[2]
    return text[:1].upper() + text[1:]


def _fields(kind: type) -> list[dataclasses.Field[Any]]:
    return list(dataclasses.fields(kind))


def _dataclass_in(hint: Any) -> Any:
    """The section that a field holds, alone, or in a tuple, or beside None."""
    members = (hint, *typing.get_args(hint))
    return next((m for m in members if isinstance(m, type) and dataclasses.is_dataclass(m)), None)


def _header(name: str, several: bool = False) -> str:
    return f"[[{name}]]" if several or name in LISTS else f"[{name}]"


def setup(app: "Sphinx") -> dict[str, bool]:
    """Put the reference in the place of the marker of a page."""

    def fill(_: "Sphinx", page: str, source: list[str]) -> None:
        if MARKER in source[0]:
            source[0] = source[0].replace(MARKER, reference())

    app.connect("source-read", fill)
    return {"parallel_read_safe": True}
