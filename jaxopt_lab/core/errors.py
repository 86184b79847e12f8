"""Errors that are the user's to mend: shown as one message, without a traceback."""

import importlib.util
import os
import sysconfig
import traceback

from jaxopt_lab.core.readable import readable


class InputError(ValueError):
    """What the user gave is wrong; the message says what came, what was expected and the remedy.

    What came may be anything: control characters are written out, and what is endless is cut.
    """

    def __str__(self) -> str:
        return readable(super().__str__())


class ArgumentError(InputError):
    """One or more arguments of a function are out of their range.

    Attributes:
      faults: `{argument name: message}`, in the order of the function's signature.
    """

    def __init__(self, function: str, faults: dict[str, str]):
        self.faults = faults
        super().__init__("; ".join(f"{function}: {name} {text}" for name, text in faults.items()))


class Notice(UserWarning):
    """What a person is to know, though the work goes on; the command line shows it as a line."""

    def __str__(self) -> str:
        return readable(super().__str__())


class OwnCodeWarning(Notice):
    """A user's own code is not what it was when a run began."""


class DamageWarning(Notice):
    """A file is not what was written; the message says which, and what was lost with it."""


def told(error: BaseException, file: str | None = None) -> str:
    """What was raised, and in which line, in one line of text.

    Args:
      error: with its traceback.
      file: whose line is wanted; None for that of the innermost call outside of libraries.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if (f.filename == file if file else not _installed(f.filename))]
    where = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    text = " ".join(str(error).split())
    return f"{where}{type(error).__name__}{f': {text}' if text else ''}"


def _installed(file: str) -> bool:
    """Whether a file is of this package, of a library or of Python itself."""
    paths = sysconfig.get_paths()
    folders = [os.path.dirname(os.path.dirname(__file__))]
    folders += [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return file.startswith(("<frozen", *(folder + os.sep for folder in folders)))


def require(module: str, extra: str) -> None:
    """Make sure that a library that an extra of this package brings is there.

    Raises:
      InputError: naming the extra where it is not.
    """
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f'this needs {module}, which is not installed: pip install "jaxopt_lab[{extra}]"'
        )
