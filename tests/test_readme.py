"""The README tells the truth: its Python runs, its commands are those of the package."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from jaxopt_lab.config.checks import parse_linear_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import load_sweep

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


RUN_EACH = """
import contextlib, io, json, sys, traceback
found = []
for block in json.loads(sys.argv[1]):
    out, error = io.StringIO(), ""
    with contextlib.redirect_stdout(out):
        try:
            exec(block, {"__name__": "__main__"})
        except BaseException:
            error = traceback.format_exc()
    found.append((out.getvalue(), error))
print(json.dumps(found))
"""


def test_python_runs_as_printed(tmp_path):
    """In one process, each block with its own names. Warnings are errors, and what a block writes
    does not land in the checkout."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    command = [sys.executable, "-W", "error", "-c", RUN_EACH, json.dumps(blocks("python"))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == len(blocks("python"))
    for out, error in found:
        assert not error, error
        assert float(out.split()[0]) > 0


@pytest.mark.parametrize("block", blocks("toml"))
def test_configurations_are_valid(block):
    parse_config(tomllib.loads(block))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_config_is_valid_and_says_what_to_expect(path):
    text = path.read_text()
    tables = tomllib.loads(text)
    command = next((name for name in ("linear", "sweep") if name in tables), "train")
    if command == "sweep":
        load_sweep(path)
    else:
        parse = parse_linear_config if command == "linear" else parse_config
        parse(tables, source=path.name)
    header = text[: text.index("\nseed = ")]
    assert f"jaxopt-lab {command} configs/{path.name}" in header
    if tables["data"].get("reconstruct"):
        assert re.search(r"loss \d", header), "the header says the loss to expect"
    else:
        assert re.search(r"\d %", header), "the header says the accuracy to expect"
