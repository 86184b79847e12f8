"""Make scripts/course.ipynb of docs/course.md: the page in cells, whose pictures draw themselves.

    python scripts/make_course.py            # write the notebook
    python scripts/make_course.py --check    # say whether it is what would be written

A part of the page is a Markdown cell, a block that runs is a code cell, and so is a picture: the
function of scripts/figures that drew it for the page, with what it takes. A notebook may be opened
alone, so it carries that code, a tenth of the pictures' bytes; and Colab shows no attached ones.
Commands name the configurations as they ship, and links within the repository are their words.
What installs the package is copied from scripts/colab_tpu.ipynb.
"""

import argparse
import json
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from figures.sources import FIGURES, alone, makers
from markdown_it import MarkdownIt

SCRIPTS = pathlib.Path(__file__).parent
PAGE = SCRIPTS.parent / "docs" / "course.md"
TPU = SCRIPTS / "colab_tpu.ipynb"
NOTEBOOK = SCRIPTS / "course.ipynb"
INSTALL = ("source-text", "source", "install-text", "install")

HOW = """
Run the cells from here to the first chapter; then each section runs by itself, and a CPU is enough.
What is named to play with is a command for a cell of its own, after a `!`:
`!jaxopt-lab train digits_mlp`.
"""
SHARED = """
**What the pictures share.** These cells write down how they look, and how networks are trained for
them. The code of a picture is in its own cell, folded.
"""
FOLDER = """
import sys
import tempfile

PICTURES = tempfile.mkdtemp()
sys.path.insert(0, PICTURES)
"""
# Jupyter's way to fold the source of a cell, and Colab's.
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}

_PICTURE = re.compile(r"!\[([^\]]*)\]\(figures/(\w+)\.png\)")
_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./|#|\w+\.md)[^)\s]*\)")
_CONFIG = re.compile(r"\bconfigs/(\w+)\.toml")
_FILE = re.compile(r"# (\S+\.(?:py|toml))\n")

Cell = dict[str, Any]


def cell(kind: str, name: str, text: str, **metadata: object) -> Cell:
    """A cell of this kind, "markdown" or "code", whose id is `name`, without outputs."""
    outputs = {"execution_count": None, "outputs": []} if kind == "code" else {}
    source = text.strip("\n").splitlines(keepends=True)
    return {"cell_type": kind, "id": name, "metadata": metadata, "source": source} | outputs


def runs(language: str, text: str) -> str | None:
    """What a code cell has of a fenced block; None where the block is there to be read."""
    if language in ("python", "toml") and (file := _FILE.match(text)):
        return f"%%writefile {file[1]}\n{text}"
    return {"python": text, "sh": f"%%bash -e\n{text}"}.get(language)


def prose(text: str) -> str:
    """Markdown without links into the repository, its configurations by name."""
    return _CONFIG.sub(r"\1", _LINK.sub(r"\1", text))


def parts(page: str) -> Iterator[tuple[str, str, str]]:
    """The page in order: `("markdown", heading, text)`, `("code", heading, text)` and so on.

    A picture is `("picture", its name, what it shows)`. Markdown ends before what is no Markdown,
    and before a heading, unless nothing but headings came before.
    """
    lines = page.splitlines(keepends=True)
    parsed = MarkdownIt("commonmark").parse(page)
    tokens = [(t, t.map[0]) for t in parsed if t.level == 0 and t.nesting >= 0 and t.map]
    ends = [*(begin for _, begin in tokens[1:]), len(lines)]
    heading, text, begun = "", "", False
    for (token, begin), end in zip(tokens, ends, strict=True):
        source = "".join(lines[begin:end])
        picture = _PICTURE.fullmatch(source.strip())
        code = runs(token.info, token.content) if token.type == "fence" else None
        is_heading = token.type == "heading_open"
        if text and (picture or code or (is_heading and begun)):
            yield "markdown", heading, prose(text)
            text, begun = "", False
        if picture:
            yield "picture", picture[2], picture[1]
        elif code:
            yield "code", heading, code
        else:
            heading = source.strip("# \n") if is_heading else heading
            text, begun = text + source, begun or not is_heading
    if text:
        yield "markdown", heading, prose(text)


def opening(words: str, modules: set[str]) -> list[Cell]:
    """The cells before the chapters: the title, the installation, and what pictures import."""
    ours = {each["id"]: each for each in json.loads(TPU.read_text())["cells"]}
    files = [FIGURES / f"{module}.py" for module in sorted(modules)]
    shared = [
        cell(
            "code",
            f"write-{path.stem}",
            f'%%writefile "{{PICTURES}}/{path.name}"\n{path.read_text()}',
            **FOLDED,
        )
        for path in files
        if path.exists()
    ]
    return [
        cell("markdown", "title", f"{words}\n{HOW}"),
        *(ours[name] for name in INSTALL),
        cell("markdown", "pictures-text", SHARED),
        cell("code", "pictures", FOLDER),
        *shared,
    ]


def notebook(page: str) -> dict[str, Any]:
    """The notebook of a page, as JSON has it."""
    pictures, used, cells, ids = makers(), set(), [], {}
    # Of what comes before the chapters, the title and a paragraph: the rest is of the page itself.
    before, _, chapters = page.partition("\n## ")
    for kind, name, text in parts("## " + chapters):
        folded = {}
        if kind == "picture":
            code, modules = alone(*pictures[name])
            used |= modules
            kind, name, text, folded = "code", f"picture-{name}", f"# @title {text}\n{code}", FOLDED
        else:
            name = re.sub(r"[^a-z0-9]+", "-", name.lower())[:48].strip("-")
            name += "-code" if kind == "code" else ""
        ids[name] = ids.get(name, 0) + 1
        name += f"-{ids[name]}" if ids[name] > 1 else ""
        cells.append(cell(kind, name, text, **folded))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": opening(prose("\n\n".join(before.split("\n\n")[:2])), used) + cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def main() -> None:
    """Write the notebook, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare in place of writing")
    check = parser.parse_args().check
    made = json.dumps(notebook(PAGE.read_text()), indent=1, ensure_ascii=False) + "\n"
    if not check:
        NOTEBOOK.write_text(made)
    elif not NOTEBOOK.exists() or NOTEBOOK.read_text() != made:
        sys.exit("scripts/course.ipynb is another: python scripts/make_course.py writes it anew")


if __name__ == "__main__":
    main()
