"""The README tells the truth: its Python runs, its commands are those of the package."""

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from jaxopt_lab.config.parse import parse_config, parse_linear_config
from jaxopt_lab.config.sweep import load_sweep

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs_as_printed(block, tmp_path):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = done.stdout.split()
    assert float(first[0]) > 0


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
