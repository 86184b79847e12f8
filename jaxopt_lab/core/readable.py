"""Text that may hold anything, for a terminal and for a person."""

import os
import re
import shlex

LONGEST_GIVEN, LONGEST_LINE, LONGEST = 200, 1000, 5000
"""Letters of what was given, of a line, and of a whole text."""


def printable(text: str) -> str:
    """Text whose control characters are written out, ESC as \\x1b, but for tabs and line breaks."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not is_control(c) else _written(c) for c in text)


def in_a_line(text: str) -> str:
    """Text that is printable, its line breaks written out too: no name can begin a line."""
    return printable(text).replace("\n", _written("\n"))


def readable(text: str) -> str:
    """Text that is printable, and cut where a person has stopped reading.

    Its lines after the first are indented; a line break before another letter came with a name,
    and is written out.
    """
    whole = re.sub(r"\n(?! )", lambda found: _written(found[0]), printable(text))
    lines = [_cut(line, LONGEST_LINE) for line in whole.split("\n")]
    return _cut("\n".join(lines), LONGEST)


def shortened(text: str) -> str:
    """What was given, where a message begins with it or repeats it: a few words of it."""
    return _cut(text, LONGEST_GIVEN)


def _cut(text: str, most: int) -> str:
    left = len(text) - most
    return text if left <= 0 else f"{text[: most - 40]} ... ({left + 40:,} more letters)"


def as_typed(path: str | os.PathLike[str]) -> str:
    """A path as a shell takes it: in quotes where it holds a space and the like."""
    return shlex.quote(os.fspath(path))


def is_control(character: str) -> bool:
    """Whether it moves, colors or turns what is around it, in place of being shown itself."""
    code = ord(character)
    # C0, DEL and C1, line and paragraph separators, marks of direction, and halves of pairs.
    return (
        code < 0x20
        or 0x7F <= code < 0xA0
        or code in (0x2028, 0x2029, 0x200E, 0x200F, 0x061C)
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or 0xD800 <= code <= 0xDFFF
    )


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
