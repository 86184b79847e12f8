"""Errors that are the user's to mend: shown as one message, without a traceback."""


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


def missing_extra(module: str, extra: str) -> InputError:
    """The error for a library that an extra of this package brings."""
    return InputError(
        f'this needs {module}, which is not installed: pip install "jaxopt_lab[{extra}]"'
    )
