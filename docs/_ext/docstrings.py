"""The docstrings of this house as reStructuredText, before napoleon reads their sections.

They are written to be read in `help()`: single backticks are code, what is indented by four is code
or an equation, and a star is a star. Where `docs/equations.md` has the equation of a function, it
stands in the place of the first of these blocks.
"""

import re
from typing import TYPE_CHECKING, Any

import equations

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_INDENT = 4
_FIELD = re.compile(r"(Reference|Differs from)([^:]*): (.*)")
_NAME = re.compile(r"[A-Za-z_][\w.]*\w|[A-Za-z]")


def as_rst(lines: list[str], equation: str | None = None) -> list[str]:
    """A docstring's lines.

    Args:
      lines: without their common indentation.
      equation: in LaTeX, for the first indented block, or after the summary where there is none.
    """
    found: list[str] = []
    for is_block, run in _runs(lines):
        if is_block and equation:
            found += _math(equation)
            equation = None
        elif is_block:
            found += ["", ".. code-block:: text", "", *run, ""]
        else:
            found += _text(run)
    if equation:
        end = found.index("") if "" in found else len(found)
        found[end:end] = _math(equation)
    return found


def _math(equation: str) -> list[str]:
    return ["", ".. math::", "", *(f"   {line}" for line in equation.splitlines()), ""]


def _runs(lines: list[str]) -> list[tuple[bool, list[str]]]:
    """The lines in runs of indented blocks and of all else."""
    found: list[tuple[bool, list[str]]] = []
    inside, before, blank = False, 0, True
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip():
            starts = blank and before == 0 and indent >= _INDENT
            inside = starts or (inside and indent >= _INDENT)
            before = 0 if inside else indent
        blank = not line.strip()
        if not found or found[-1][0] != inside:
            found.append((inside, []))
        found[-1][1].append(line)
    return found


def _text(run: list[str]) -> list[str]:
    parts = re.split(r"(`[^`]+`)", "\n".join(run))
    parts = [_code(part) if part[:1] == "`" else _escaped(part) for part in parts]
    joined = re.sub(r"(\x00)(?=\w)", r"\\ ", "".join(parts)).replace("\x00", "")
    return _fields(joined.split("\n"))


def _code(part: str) -> str:
    text = part[1:-1]
    role = ":py:obj:`{}`" if _NAME.fullmatch(text) else "``{}``"
    return role.format(text) + "\x00"  # what may follow only after an escaped space


def _escaped(text: str) -> str:
    text = re.sub(r"([\\*|])", r"\\\1", text)
    return re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)


def _fields(lines: list[str]) -> list[str]:
    """`Reference: ...` as a field beside the arguments, and a blank line before each list."""
    found, inside = [], False
    for line in lines:
        if line.startswith("- ") and found and found[-1][:1] not in ("", "-", " "):
            found.append("")  # before a list
        if match := _FIELD.fullmatch(line):
            found += ["", f":{match[1]}{match[2]}: {match[3]}"]
            inside = True
        else:
            inside = inside and bool(line.strip())
            found.append(f"   {line}" if inside else line)
    return found


def setup(app: "Sphinx") -> dict[str, bool]:
    """Read each docstring before napoleon does."""

    def process(
        _: "Sphinx", what: str, name: str, obj: Any, options: Any, lines: list[str]
    ) -> None:
        lines[:] = as_rst(lines, equations.read().get(name.removeprefix("jaxopt_lab.")))

    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True}
