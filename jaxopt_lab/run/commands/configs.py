"""`jaxopt-lab configs`: the configurations that ship."""

import pathlib
import shutil

from jaxopt_lab.config.shipped import described, shipped
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.run.terminal.progress import Progress


def list_configs(terminal: Progress) -> None:
    """Print the name of each, and what it trains."""
    rows = []
    for name, path in shipped().items():
        command, subject = described(path)
        rows.append((f"{command} {name}", subject))
    terminal.columns("after `jaxopt-lab`, in any folder", ("command", "what it is"), rows)


def copy_config(name: str) -> pathlib.Path:
    """Write one into the working directory as NAME.toml.

    Raises:
      InputError: for an unknown name, or where the file is there already.
    """
    there = shipped()
    if name not in there:
        raise InputError(
            f"configs: no configuration {name!r} ships{nearest(name, there)}; `jaxopt-lab configs` "
            "lists them"
        )
    path = pathlib.Path(f"{name}.toml")
    if path.exists():
        raise InputError(f"configs: {path} is there already; move it away, or copy elsewhere")
    shutil.copyfile(there[name], path)
    return path
