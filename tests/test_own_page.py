"""The page on one's own code tells the truth: its files and commands run as they are printed."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from jaxopt_lab.config.own import BRINGABLE
from jaxopt_lab.config.parse import parse_config

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "own.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def files():
    """The blocks that are files, by the names in their first lines."""
    texts = [*blocks("python"), *blocks("toml")]
    found = [re.match(r"# (\S+\.(?:py|toml))\n", text) for text in texts]
    return {match[1]: match.string for match in found if match}


@pytest.fixture(name="here")
def _here(tmp_path, monkeypatch):
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command):
    own = os.environ | {"PYTHONWARNINGS": "error"}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_blocks_without_a_name_run(here):
    text = "\n".join(block for block in blocks("python") if block not in files().values())
    accuracies = [float(line) for line in run(sys.executable, "-c", text).split()]
    assert len(accuracies) == 2 and min(accuracies) > 0.5


def test_the_script_is_short_and_its_configuration_is_whole(here):
    assert len([line for line in files()["my_experiment.py"].splitlines() if line]) < 40
    out = run(sys.executable, "my_experiment.py", "train", "my_experiment.toml", "--print-config")
    assert "gamma = 2.0" in out


def test_the_tables_are_checked_as_a_file_s():
    texts = [block for block in blocks("toml") if block not in files().values()]
    whole = tomllib.loads((ROOT / "configs" / "digits_mlp.toml").read_text())
    streamed, started = (parse_config(whole | tomllib.loads(text)) for text in texts)
    assert streamed.data.source.arguments["stream"] is True
    start = started.start
    assert start and start.which == "kept" and start.rename == ((r"^backbone\.", ""),)


@pytest.mark.slow
def test_the_commands_run(here):
    (text,) = blocks("sh")
    for line in text.splitlines():
        command = shlex.split(line)
        installed = [sys.executable, "-m", "jaxopt_lab.cli"]
        out = run(*([sys.executable] if command[0] == "python" else installed), *command[1:])
    assert pathlib.Path("runs/wine/own.json").exists()
    assert "Two hidden layers." in out and "width = 32" in out


def test_every_table_is_told():
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == BRINGABLE.keys() - {"linear", "features"}
