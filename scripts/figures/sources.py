"""The code of one figure for a notebook: its function, and what that takes of its chapter."""

import ast
import functools
import pathlib
from typing import NamedTuple

FIGURES = pathlib.Path(__file__).parent


class _Code(NamedTuple):
    """What a chapter of figures defines, by name: its statements, and where a name comes from."""

    lines: list[str]
    defined: dict[str, ast.stmt]
    imported: dict[str, tuple[str, str]]


@functools.cache
def _code_of(module: str) -> _Code:
    """The code of a chapter of scripts/figures, which is read and not run."""
    text = (FIGURES / f"{module}.py").read_text()
    found = _Code(text.splitlines(), {}, {})
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                found.imported[alias.asname or alias.name] = origin, ast.unparse(alias)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.defined[node.name] = node
        elif isinstance(node, ast.Assign):
            names = [n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)]
            found.defined.update(dict.fromkeys(names, node))
    return found


def makers() -> dict[str, tuple[str, str]]:
    """`{picture: (module, function)}`, of the tables of the chapters."""
    found = {}
    for path in sorted(FIGURES.glob("chapter_*.py")):
        table = _code_of(path.stem).defined["FIGURES"]
        assert isinstance(table, ast.Assign) and isinstance(table.value, ast.Dict)
        for key, function in zip(table.value.keys, table.value.values, strict=True):
            found[ast.literal_eval(key or "")] = path.stem, ast.unparse(function)
    return found


def alone(module: str, function: str) -> tuple[str, set[str]]:
    """A function with the imports and the definitions that it takes, and its call.

    Returns:
      The code, and the names of the modules from which it imports.
    """
    imports: dict[str, set[str]] = {}
    definitions: dict[tuple[str, int], str] = {}
    todo, seen = [(module, function)], set()
    while todo:
        place, name = todo.pop()
        code = _code_of(place)
        if (place, name) in seen:
            continue
        seen.add((place, name))
        if name in code.imported:
            origin, what = code.imported[name]
            if origin.startswith("from chapter_"):
                todo.append((origin.split()[1], what))
            else:
                imports.setdefault(origin, set()).add(what)
        elif name in code.defined:
            node = code.defined[name]
            begin = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) - 1
            while code.lines[begin - 1].startswith("#"):
                begin -= 1
            definitions[place, begin] = "\n".join(code.lines[begin : node.end_lineno])
            todo += [(place, n.id) for n in ast.walk(node) if isinstance(n, ast.Name)]
    plain = [f"import {name}" for name in sorted(imports.pop("", ()))]
    named = [f"{origin}import {', '.join(sorted(imports[origin]))}" for origin in sorted(imports)]
    texts = [definitions[key] for key in sorted(definitions)]
    call = f"{function}()"
    written = "\n\n\n".join(["\n".join([*plain, *named]), *texts, call])
    return written, {origin.split()[1] for origin in imports}
