"""The page on one's own code tells the truth: its files and commands run as they are printed."""

import os
import pathlib
import re
import runpy
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


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("block", [b for b in blocks("python") if b not in files().values()])
def test_a_block_without_a_name_runs(block, capsys):
    exec(block, {"__name__": "__main__"})
    assert float(capsys.readouterr().out) > 0.5


@pytest.mark.usefixtures("here")
def test_the_script_is_short_and_its_configuration_is_whole(monkeypatch, capsys):
    assert len([line for line in files()["my_experiment.py"].splitlines() if line]) < 40
    command = ["my_experiment.py", "train", "my_experiment.toml", "--print-config"]
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(command[0], run_name="__main__")
    assert "gamma = 2.0" in capsys.readouterr().out


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
