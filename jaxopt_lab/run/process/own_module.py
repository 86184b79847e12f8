"""A file of the user's own code, `--module FILE`, loaded for one command."""

import ast
import contextlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from jaxopt_lab.config.own import extended
from jaxopt_lab.core.errors import InputError, told

EXTEND = "EXTEND"

_LOADING: ContextVar[bool] = ContextVar("loading", default=False)


@contextlib.contextmanager
def own_module(path: str | os.PathLike[str]) -> Iterator[None]:
    """Run a Python file once, and bring the names of its `EXTEND` while it is entered.

    The file's folder is then where Python looks for modules first, so that the file finds its
    siblings, in functions that are called later too.

    Raises:
      InputError: where there is no such file, it is no Python, it raises, or has no `EXTEND`
        or a wrong one; with the line where it has one.
    """
    if _LOADING.get():
        raise InputError(
            f"--module {path}: calls main() where it is loaded: call it under "
            'if __name__ == "__main__":'
        )
    file = pathlib.Path(path).resolve()
    if not file.is_file() or file.suffix != ".py":
        why = "is no Python file, NAME.py" if file.exists() else "there is no such file"
        raise InputError(f"--module {path}: {why}")
    folder = str(file.parent)
    sys.path.insert(0, folder)
    try:
        module = _run(file)
        if not hasattr(module, EXTEND):
            example = f'{EXTEND} = {{"model": [my_net]}}'
            raise InputError(f"--module {file}: has no {EXTEND}; end it with: {example}")
        try:
            names = extended(getattr(module, EXTEND), str(file))
        except InputError as error:
            raise InputError(f"--module {file}{_line_of_extend(file)}: {error}") from None
        with names:
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _run(file: pathlib.Path) -> Any:
    name = file.stem
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(file):
        name = f"own_{name}"  # of a file that is called as a library is
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader, file  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # where annotations and siblings look for it
    loading = _LOADING.set(True)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        where = f"{error.filename or file}{line}"
        raise _failed(name, before, f"{where}: is no Python: {error.msg}") from error
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise _failed(name, before, told(error, str(file))) from error
    finally:
        _LOADING.reset(loading)
    return module


def _line_of_extend(file: pathlib.Path) -> str:
    """`:12`, where the file sets it by a statement of its own."""
    for statement in ast.parse(file.read_bytes()).body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if any(isinstance(t, ast.Name) and t.id == EXTEND for t in targets):
            return f":{statement.lineno}"
    return ""


def _failed(name: str, before: Any, text: str) -> InputError:
    """The error of a file that could not be loaded, which leaves no module behind."""
    sys.modules.pop(name)
    if before is not None:
        sys.modules[name] = before
    return InputError(f"--module {text}")
