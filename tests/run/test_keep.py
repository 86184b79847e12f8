"""How many checkpoints stay, and the disk that they take, said before the start."""

import collections
import re
import shutil

import pytest

import jaxopt_lab
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.commands.prune import find_prunable

TABLES = {
    "data": {"name": "digits", "batch_size": 128, "validation": 0.15},
    "model": {"name": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
}
Usage = collections.namedtuple("Usage", "total used free")


def config(**train):
    return parse_config(TABLES | {"train": {"steps": 12, "checkpoint_every": 3, **train}})


@pytest.mark.parametrize(
    ("keep", "steps"), [(1, [12]), (2, [12, 9]), (3, [12, 9, 6]), ("all", [12, 9, 6, 3])]
)
def test_so_many_stay_and_what_the_run_keeps_is_apart(keep, steps, tmp_path, capsys):
    jaxopt_lab.train(config(keep=keep), tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    assert checkpoint.steps(folder) == checkpoint.whole_steps(folder) == steps
    assert checkpoint.steps(tmp_path / "run" / "kept") == [12]
    said = " ".join(capsys.readouterr().out.split())
    stay = "all stay" if keep == "all" else f"the newest {keep} stay"
    takes = checkpoint.size_of(folder, [12])
    said = re.search(f"a checkpoint takes ([0-9.]+) KiB; {stay}: ([0-9.]+) KiB", said)
    assert said and abs(float(said[1]) * 1024 - takes) < 0.2 * takes
    assert abs(float(said[2]) - len(steps) * float(said[1])) < len(steps)
    (found,) = find_prunable(tmp_path / "run", "last")
    assert sorted(found.steps) == sorted(steps[1:])


def test_it_changes_nothing_else_of_a_run():
    assert config_hash(config(keep=1)) == config_hash(config(keep="all")) == config_hash(config())


@pytest.mark.parametrize("keep", [0, -1, "some", 1.5, True])
def test_what_is_no_number_of_them_is_refused(keep):
    with pytest.raises(ConfigError, match=r"train\.keep"):
        config(keep=keep)


@pytest.mark.parametrize(
    ("free", "words"), [(100, "HAS ROOM FOR 100 B ONLY: the first will"), (20_000, "has room for")]
)
def test_a_disk_without_the_room_is_told_before_the_start(
    free, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, free))
    jaxopt_lab.train(config(), tmp_path / "run")
    said = " ".join(capsys.readouterr().out.split())
    assert words in said and said.index(words) < said.index("step 3/12")
