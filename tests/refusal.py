"""What a message must be, by whatever a strange input is refused."""

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.readable import LONGEST


def refused_well(call):
    """Whether a call is refused; in a message that a person can read, where it is."""
    try:
        call()
    except InputError as error:
        text = str(error)
        assert 0 < len(text) <= LONGEST
        assert all(c.isprintable() or c in "\n\t" for c in text), text
        return True
    return False
