"""A disk that is full, a folder that takes no files or is gone, names that are odd or too long."""

import errno
import os
import pathlib
import shutil

import pytest

import jaxopt_lab
from jaxopt_lab import cli
from jaxopt_lab.core import files
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.run_writer import RunWriter

CONFIG = """
[data]
name = "digits"
batch_size = 128
[model]
name = "linear"
[optimizer]
name = "sgd"
learning_rate = 0.01
[train]
steps = 12
checkpoint_every = 4
"""


@pytest.fixture(name="home", autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(CONFIG)
    # Its pictures take longer than all else here.
    monkeypatch.setattr("jaxopt_lab.run.commands.train.write_report", lambda *given: None)
    return tmp_path


def train(folder, *arguments):
    return cli.main(["train", "c.toml", "--run-dir", str(folder), *arguments])


def full(monkeypatch, when, number=errno.ENOSPC):
    """From the first file on of which `when` says so, the disk takes no more."""
    rename, failed = os.replace, []

    def replacing(source, target):
        if failed or when(pathlib.Path(target)):
            failed.append(target)
            raise OSError(number, os.strerror(number))
        rename(source, target)

    monkeypatch.setattr(files.os, "replace", replacing)
    return failed


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EBUSY]
)
@pytest.mark.parametrize("ending", ["08.npz", "08.json"])
def test_what_fails_at_a_save_is_told_there_and_older_ones_are_whole(
    number, ending, home, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        full(patch, lambda path: path.name.endswith(ending), number)
        assert train("run") == 1
    error = capsys.readouterr().err
    assert os.strerror(number) in error and f"step-000000{ending}" in error
    assert ": what was saved before is kept; " in error
    assert error.endswith(", and go on with: jaxopt-lab train --resume run\n")
    assert checkpoint.whole_steps(home / "run" / "checkpoints") == [4]
    assert not list((home / "run").rglob(".*.tmp"))
    assert cli.main(["train", "--resume", "run"]) == 0
    assert checkpoint.whole_steps(home / "run" / "checkpoints") == [12, 8]


def test_a_last_save_that_fails_is_no_success(home, monkeypatch, capsys):
    full(monkeypatch, lambda path: path.name.endswith("12.npz"))
    assert train("run") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert checkpoint.whole_steps(home / "run" / "checkpoints") == [8, 4]


def test_what_was_saved_is_not_called_kept_where_nothing_was(monkeypatch, capsys):
    full(monkeypatch, lambda path: path.name.endswith("04.npz"))
    assert train("run") == 1
    error = capsys.readouterr().err
    assert "kept" not in error and error.endswith(": make room, and try again\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_never_could_be_written_is_wrong_input(number, monkeypatch, capsys):
    full(monkeypatch, lambda path: True, number)
    assert train("run") == 2
    assert "run cannot be a run folder: " + os.strerror(number) in capsys.readouterr().err


def test_a_folder_that_goes_while_the_run_trains_is_told_at_the_next_save(
    home, monkeypatch, capsys
):
    save, steps = RunWriter.save, []

    def saving(self, state, **rest):
        saved = save(self, state, **rest)
        steps.append(self.log.steps)
        if self.log.steps == 4:
            shutil.rmtree(home / "run")
        return saved

    monkeypatch.setattr(RunWriter, "save", saving)
    assert train("run") == 1
    assert "No such file or directory" in (error := capsys.readouterr().err)
    assert "kept" not in error and "Traceback" not in error
    assert 4 <= steps[-1] < 8


def test_what_a_killed_writer_left_goes_at_the_next_start(home):
    assert train("run") == 0
    left = [home / "run" / place / ".step-00000006.npz.tmp" for place in ("checkpoints", ".")]
    for path in left:
        path.write_bytes(b"half of it")
    with open(left[0].with_suffix(".1.tmp"), "ab") as file:
        assert files._taken(file), "one that somebody writes to stays"
        assert cli.main(["train", "--resume", "run"]) == 0
        assert pathlib.Path(file.name).exists()
    assert not any(path.exists() for path in left)


CYRILLIC = "\u043f\u0430\u043f\u043a\u0430/\u043f\u0440\u043e\u0433\u043e\u043d"


@pytest.mark.parametrize("name", [CYRILLIC, "a\nb", " a b ", "/".join(["y" * 60] * 5)])
def test_odd_names_are_names(name, home):
    assert train(name) == 0
    assert cli.main(["train", "--resume", name]) == 0
    assert jaxopt_lab.load_run(home / name).step == 12


@pytest.mark.parametrize(
    "command",
    [
        ["train", "c.toml", "--run-dir"],
        ["train", "--resume"],
        ["train"],
        ["evaluate"],
        ["runs"],
        ["prune", "--keep", "best"],
        ["diagnose"],
        ["find-lr", "c.toml", "--steps", "20", "--output"],
    ],
)
def test_a_name_that_no_file_can_have_is_wrong_input(command, capsys):
    end = ".png" if command[0] == "find-lr" else ""
    assert cli.main([*command, "x" * 300 + end]) == 2
    assert "ame too long" in capsys.readouterr().err
