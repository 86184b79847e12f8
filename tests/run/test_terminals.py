"""A command outlives its terminal: a reader that has seen enough, a stream that was closed."""

import errno
import io
import os
import subprocess
import sys

import pytest

from jaxopt_lab import cli
from jaxopt_lab.run.terminal.console import Console
from jaxopt_lab.run.terminal.progress import Progress


@pytest.fixture
def unread():
    """A stream whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        yield stream


def test_a_run_goes_on_when_its_reader_is_gone(unread):
    terminal = Progress(console=Console(file=unread))
    for _ in range(2):
        terminal.say("working")
    with terminal.waiting("compiling"):
        terminal.closing_table("done", {"a": "b"})
    assert terminal.console.quiet


@pytest.mark.parametrize("command", [["list"], ["list", "optimizer"], ["runs", "--json"]])
def test_a_reader_that_has_seen_enough_is_no_fault(unread, command, monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("sys.stdout", unread)
    assert cli.main(command) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["sys.stdout", "sys.stderr"])
def test_a_stream_that_was_closed_is_no_fault(name, monkeypatch, tmp_path):
    monkeypatch.setattr(name, None)
    assert cli.main(["list", "loss"]) == 0
    assert cli.main(["runs", str(tmp_path / "none")]) == 2


class Gone(io.StringIO):
    """A terminal that was closed: what is written to it is an input/output error."""

    def write(self, text):
        raise OSError(errno.EIO, "Input/output error")


def test_a_run_goes_on_when_its_terminal_is_closed():
    terminal = Progress(console=Console(file=Gone(), force_terminal=True))
    with terminal.waiting("compiling"):
        terminal.say("working")
    assert terminal.console.quiet


POOR = {"TERM": "dumb", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_poor_terminal_gets_letters_that_it_has(tmp_path):
    command = [sys.executable, "-m", "jaxopt_lab.cli", "train", "digits_mlp"]
    command += ["--set", "train.epochs=1", "--run-dir", "\u043f\u0430"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | POOR | {"COLUMNS": "20"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode("ascii")
    assert "finished" in said and "report" in said
    assert b"Traceback" not in done.stderr
