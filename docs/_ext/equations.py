"""The equations of `docs/equations.md`, by the names of their functions."""

import functools
import pathlib
import re

PAGE = pathlib.Path(__file__).parents[1] / "equations.md"


@functools.cache
def read() -> dict[str, str]:
    """`{"optimizers.adam": LaTeX}`: below `## Optimizers` what follows ### `adam`."""
    found, family = {}, ""
    for chapter in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        family = re.search(r"`(\w+)`", chapter)[1]  # type: ignore[index]
        for entry in re.split(r"^### ", chapter, flags=re.MULTILINE)[1:]:
            name = re.match(r"`(\w+)`", entry)[1]  # type: ignore[index]
            (equation,) = re.findall(r"^\$\$\n(.*?)\n\$\$$", entry, re.DOTALL | re.MULTILINE)
            found[f"{family}.{name}"] = equation
    return found
