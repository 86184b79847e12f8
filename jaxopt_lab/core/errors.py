"""Errors that are the user's to mend: shown as one message, without a traceback."""

import importlib.util


class InputError(ValueError):
    """What the user gave is wrong; the message says what came, what was expected and the remedy."""


class ArgumentError(InputError):
    """One or more arguments of a function are out of their range.

    Attributes:
      faults: `{argument name: message}`, in the order of the function's signature.
    """

    def __init__(self, function: str, faults: dict[str, str]):
        self.faults = faults
        super().__init__("; ".join(f"{function}: {name} {text}" for name, text in faults.items()))


def require(module: str, extra: str) -> None:
    """Make sure that a library that an extra of this package brings is there.

    Raises:
      InputError: naming the extra where it is not.
    """
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f'this needs {module}, which is not installed: pip install "jaxopt_lab[{extra}]"'
        )
