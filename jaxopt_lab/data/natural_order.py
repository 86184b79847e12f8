"""The order of names that end in numbers."""

import re


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A key for `sorted` that counts: class_2 comes before class_10.

    Runs of digits are compared as numbers and what is between them as text.
    """
    parts: list[str | int] = list(re.split(r"(\d+)", name))
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, name
