"""A directive that documents all that a module exports: `{family} jaxopt_lab.optimizers`."""

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any

from docstrings import as_rst
from docutils.statemachine import StringList
from public import symbols
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, nodes


class Family(SphinxDirective):
    """What the module says of itself, a line for each name, and then every name in full."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        lines = [*_about(module), "", *_index(module), ""]
        for path, value in _sorted(module):
            lines += [*_entry(path, value), ""]
        fence = ["``````{eval-rst}", *lines, "``````"]
        source = StringList(fence, source=f"{module} (family)")
        container = nodes.container()
        self.state.nested_parse(source, self.content_offset, container)
        return container.children


def _about(module: str) -> list[str]:
    """What a module says of itself, but for where to begin reading its source."""
    text = inspect.getdoc(importlib.import_module(module)) or ""
    told = [each for each in text.split("\n\n") if not re.search(r"\bBegin\b", each)]
    return as_rst("\n\n".join(told).splitlines())


def _sorted(module: str) -> list[tuple[str, object]]:
    """Functions first, then classes, then tables and aliases."""
    rank = {True: 0, False: 2}
    return sorted(
        symbols(module).items(),
        key=lambda item: 1 if inspect.isclass(item[1]) else rank[inspect.isroutine(item[1])],
    )


def _index(module: str) -> list[str]:
    rows = []
    for path, value in _sorted(module):
        name = path.rpartition(".")[2]
        first = "" if isinstance(value, Mapping) else (inspect.getdoc(value) or "").splitlines()
        summary = " ".join(as_rst(first[:1])) if first else _tells(value)
        rows += [f"   * - :py:obj:`{name} <{path}>`", f"     - {summary}"]
    return [".. list-table::", "   :class: index", "   :widths: 30 70", "", *rows]


def _entry(path: str, value: object) -> list[str]:
    if isinstance(value, Mapping):
        return _data(path, f"{_tells(value)}: {', '.join(f'``{key}``' for key in value)}.")
    if inspect.isclass(value):
        return [f".. autoclass:: {path}", "   :members:"]
    if inspect.isroutine(value):
        return [f".. autofunction:: {path}"]
    return _data(path, " ".join(as_rst((inspect.getdoc(value) or "").splitlines()[:1])))


def _data(path: str, text: str) -> list[str]:
    return [f".. py:data:: {path}", "", f"   {text}"]


def _tells(value: object) -> str:
    return f"The table of {len(value)} names" if isinstance(value, Mapping) else ""


def _skip(_: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of a tuple or a dataclass are told under Attributes."""
    if what == "class" and not (inspect.isroutine(obj) or isinstance(obj, property)):
        return True
    return None


def setup(app: Sphinx) -> dict[str, bool]:
    """The directive."""
    app.add_directive("family", Family)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
