"""The pages as they are read and run: their blocks, and what cannot run here.

A block is run as it is printed, each page's in their order and in one folder, where `configs` is
there too. Its first line may name it as a file, `# net.py`; then it is written, and not run. One
below `<!-- not run: the reason -->` is left out. `text` is what the page's blocks print, where
numbers may be others; no language is a sketch.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    path for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
LANGUAGES = ("python", "sh", "toml", "text", "", "{family}", "{toctree}")
_FENCE = re.compile(r"(?:^<!-- not run: ([^\n]+) -->\n)?^```([^\n]*)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# (\S+\.(?:py|toml))\n")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
      language: the word after the fence.
      text: what is in it.
      reason: why it cannot run here; "" for one that can.
    """

    language: str
    text: str
    reason: str

    @property
    def file(self):
        """The name of the file that it is; None for what is to be run."""
        found = _FILE.match(self.text) if self.language in ("python", "toml") else None
        return found and found[1]


def blocks(page, *languages):
    """The blocks of a page, a path within the repository, of these languages or of all."""
    found = _FENCE.findall((ROOT / page).read_text())
    every = [Block(info.partition(" ")[0], text, reason) for reason, info, text in found]
    return [block for block in every if block.language in (languages or LANGUAGES)]


def name(page):
    """A page's path within the repository."""
    return str(page.relative_to(ROOT))


_RUN = """
import contextlib, io, json, pathlib, subprocess, sys, traceback
for language, text in json.loads(sys.argv[1]):
    out = io.StringIO()
    try:
        if language == "python":
            with contextlib.redirect_stdout(out):
                exec(text, {"__name__": "__main__"})
        else:
            subprocess.run(["sh", "-ec", text], check=True)
    except BaseException:
        traceback.print_exc()
        sys.exit(f"the block:\\n{text}")
    said = out.getvalue()
    print(said, flush=True)
    if language == "python" and (not said or "False" in said):
        sys.exit(f"printed {said!r}:\\n{text}")
"""


def run(page, folder, *languages):
    """Run the blocks of a page. Warnings are errors, and so is a Python block that says nothing."""
    (folder / "configs").symlink_to(ROOT / "configs")
    (folder / "bin").mkdir()
    for command, module in {"jaxopt-lab": "-m jaxopt_lab.cli", "python": ""}.items():
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -W error {module} "$@"\n')
        script.chmod(0o755)
    found = [block for block in blocks(page, *languages) if not block.reason]
    for block in found:
        if block.file:
            (folder / block.file).write_text(block.text)
    wanted = [(b.language, b.text) for b in found if b.language in ("python", "sh") and not b.file]
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    command = [sys.executable, "-W", "error", "-c", _RUN, json.dumps(wanted)]
    own = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def unprinted(block, printed):
    """The lines of a block that are not printed; one that ends with ` ...` begins one."""
    there = set(map(_skeleton, printed.splitlines()))
    return [
        line
        for line in block.splitlines()
        if (begin := _skeleton(line.removesuffix(" ..."))) not in there
        and not (line.endswith(" ...") and any(other.startswith(begin) for other in there))
    ]


def _skeleton(line):
    """A line without its numbers, which a machine rounds, and without rules."""
    return " ".join(re.sub(r"[-+\d.,e%±]+", " ", line).split())
