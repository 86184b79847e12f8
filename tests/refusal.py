"""Strange input, and what a message must be by which it is refused."""

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


def mutated(raw, draw):
    """Bytes with some of them changed, lost, or there twice."""
    raw = bytearray(raw)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if not raw:
            break
        # Headers are short, and what is wrong in them costs most.
        at = draw.randrange(min(len(raw), draw.choice((16, 200, len(raw)))))
        how = draw.randrange(6)
        if how == 0:
            raw[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            raw[at : at + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
        elif how == 2:
            del raw[at:]
        elif how == 3:
            raw[at:at] = raw[: draw.randrange(64)]
        elif how == 4:
            del raw[at : at + draw.randrange(1, 9)]
        else:
            raw[at : at + 8] = draw.choice((b"99999999", b"\x1b[31m\n,;", b"-1,nan,\t"))
    return bytes(raw)
