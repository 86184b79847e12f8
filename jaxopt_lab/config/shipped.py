"""The configurations that come with this package, by name."""

import pathlib
import re

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest

_PACKAGE = pathlib.Path(__file__).parents[1]


def shipped() -> dict[str, pathlib.Path]:
    """Their files by name: those of a wheel lie in the package, those of a checkout beside it."""
    folder = _PACKAGE / "configs"
    if not folder.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        folder = _PACKAGE.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def file_of(config: pathlib.Path) -> pathlib.Path:
    """The file that a path or a name means; where a path is there, it is that.

    Raises:
      InputError: where neither is, with a name that is near.
    """
    if config.exists() or config.suffix or len(config.parts) != 1:
        return config
    there = shipped()
    if config.name not in there:
        raise InputError(
            f"{config}: no such file; give the path of a TOML configuration, or the name of one "
            f"that ships{nearest(config.name, there)} (`jaxopt-lab configs` lists them)"
        )
    return there[config.name]


def described(path: pathlib.Path) -> tuple[str, str]:
    """The command that takes a configuration, and what it is of, as its first comments say."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"jaxopt-lab (\S+) configs/", text)
    return found[1] if found else "train", text.partition("\n")[0].removeprefix("#").strip()
