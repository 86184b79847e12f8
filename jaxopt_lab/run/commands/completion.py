"""`jaxopt-lab completion SHELL`: what makes a shell complete the commands, by shtab."""

import argparse
from collections.abc import Iterator

from jaxopt_lab.config.shipped import shipped
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import require

_FOLDERS, _FILES = ("DIR", "RUN"), ("FILE", "HTML", "PATH", "PNG", "TOML")

# A configuration is a file, or the name of one that ships.
_CONFIG = {"bash": "_jaxopt_lab_config", "zsh": "_jaxopt_lab_config", "tcsh": "f"}
_BASH = """
_jaxopt_lab_config() {
  compgen -W '%s' -- "$1"
  _shtab_compgen_files "$1"
}
"""
_ZSH = """
_jaxopt_lab_config() {
  _alternative 'names:configuration:(%s)' 'files:file:_files'
}
"""


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that a shell reads, of a parser that is used for nothing else afterwards.

    Args:
      parser: of the commands.
      shell: "bash", "zsh" or "tcsh".

    Raises:
      InputError: where shtab is not installed.
    """
    require("shtab", "lab")
    import shtab

    for action in _actions(parser):
        if action.metavar == "CONFIG":
            action.complete = _CONFIG  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == "NAME" and action.dest == "copy":
            action.choices = tuple(shipped())
        elif action.metavar == "FAMILY":
            action.choices = tuple(FAMILIES)
    names = " ".join(shipped())
    return shtab.complete(parser, shell, preamble={"bash": _BASH % names, "zsh": _ZSH % names})


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
