"""`own.json`: the names of one's own that a run was made with, and the files that they are of."""

import functools
import inspect
import json
import pathlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxopt_lab.config.own import own_names
from jaxopt_lab.core.errors import InputError, OwnCodeWarning
from jaxopt_lab.core.files import sha256_of, write_atomically
from jaxopt_lab.core.own import module_of, own
from jaxopt_lab.core.readable import as_typed


def write_own_code(path: pathlib.Path, configs: Iterable[Mapping[str, Any]]) -> None:
    """Write what configurations, as tables, name of one's own; no file where they name nothing.

    `[{"table": "model", "name": "my_net", "files": {"/home/me/mine.py": SHA-256}}]`
    """
    names = sorted({pair for tables in configs for pair in own_names(tables)})
    if names:
        rows = [{"table": t, "name": n, "files": _files(t, n)} for t, n in names]
        write_atomically(path, (json.dumps(rows, indent=2) + "\n").encode())


def require_own_code(path: pathlib.Path) -> None:
    """Make sure that the names of one's own that a run was made with are there; warns where the
    files that they are of have changed.

    Raises:
      InputError: naming each that is missing, its file, and how to give it.
    """
    if not path.exists():
        return
    try:
        rows = [(r["table"], r["name"], dict(r["files"])) for r in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: damaged, {error!r}: restore it from a copy") from None
    missing = [row for row in rows if row[1] not in own(row[0])]
    if missing:
        raise InputError(_not_there(path, missing))
    here = {(table, name): _files(table, name) for table, name, _ in rows}
    changed = [r for r in rows if [*r[2].values()] != [*here[r[0], r[1]].values()]]
    if changed:
        names = ", ".join(name for _, name, _ in changed)
        was = _with_hashes({k: v for _, _, files in changed for k, v in files.items()})
        now = _with_hashes({k: v for t, n, _ in changed for k, v in here[t, n].items()})
        text = f"{path.parent}: the code of {names} has changed since: it is of {now}, it was of "
        warnings.warn(text + was, OwnCodeWarning, stacklevel=2)


def _not_there(path: pathlib.Path, missing: list[tuple[str, str, dict[str, str]]]) -> str:
    lines = [f"{path.parent} was made with names of one's own, which are not here:"]
    tables: dict[str, list[str]] = {}
    for table, name, files in missing:
        lines.append(f"  {table} {name!r}, of {_with_hashes(files) or 'no file'}")
        tables.setdefault(table, []).append(name)
    module = next((file for _, _, files in missing for file in files), "FILE.py")
    shown = ", ".join(f'"{table}": [{", ".join(names)}]' for table, names in tables.items())
    lines.append(
        f"  give them by --module {as_typed(module)}, by the script that made it, or in Python "
        f"within `with jaxopt_lab.extended({{{shown}}}):`"
    )
    return "\n".join(lines)


def _with_hashes(files: Mapping[str, str]) -> str:
    return ", ".join(f"{file} (SHA-256 {digest[:12]})" for file, digest in files.items())


def _files(table: str, name: str) -> dict[str, str]:
    """The SHA-256 of the file by which a name came, and of that which the function is in."""
    files = [module_of(table, name), _source_of(own(table)[name])]
    found = [pathlib.Path(file).resolve() for file in files if file]
    return {str(file): sha256_of(file) for file in found if file.is_file()}


def _source_of(function: Callable[..., Any]) -> str | None:
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    inner = inspect.unwrap(inner)
    try:
        return inspect.getsourcefile(inner)
    except TypeError:  # an object that can be called
        return inspect.getsourcefile(type(inner))
