"""The configurations that ship, by name: from any folder, a path first."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxopt_lab
from jaxopt_lab.cli import main
from jaxopt_lab.config.load import read_tables
from jaxopt_lab.config.shipped import described, file_of, shipped

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_each_is_found_by_its_name_and_says_what_it_is():
    found = shipped()
    assert found == {path.stem: path for path in sorted(CONFIGS.glob("*.toml"))} and found
    for name, path in found.items():
        assert read_tables(name) == read_tables(path)
        command, subject = described(path)
        assert command in ("train", "sweep", "linear") and subject.endswith(".")


def test_a_path_wins_over_a_name():
    assert jaxopt_lab.load_config("digits_mlp").model.name == "mlp"
    shutil.copy(CONFIGS / "digits_cnn.toml", "digits_mlp")
    assert jaxopt_lab.load_config("digits_mlp").model.name == "cnn"
    assert file_of(Path("sub/digits_mlp")) == Path("sub/digits_mlp")  # no name


def test_a_run_of_a_name_is_called_so(capsys):
    assert main(["train", "digits_mlp", "--set", "train.steps=2"]) == 0
    assert Path("runs/digits_mlp-001/config.toml").exists()


def test_the_command_lists_and_copies_them(capsys):
    assert main(["configs"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in shipped()) and "linear diabetes_lasso" in said
    assert main(["configs", "--copy", "digits_mlp"]) == 0
    assert Path("digits_mlp.toml").read_bytes() == (CONFIGS / "digits_mlp.toml").read_bytes()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["train", "digits_mpl"], "ships, did you mean 'digits_mlp'?"),
        (["train", "digits_mlp.toml"], "digits_mlp.toml: no such file"),
        (["configs", "--copy", "digits_mpl"], "ships, did you mean 'digits_mlp'?"),
    ],
)
def test_what_is_not_there(command, text, capsys):
    assert main(command) == 2
    assert text in capsys.readouterr().err


def test_nothing_is_overwritten(capsys):
    Path("digits_mlp.toml").write_text("mine")
    assert main(["configs", "--copy", "digits_mlp"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("digits_mlp.toml").read_text() == "mine"


def test_the_module_is_the_command_and_says_its_version():
    command = [sys.executable, "-m", "jaxopt_lab", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"jaxopt_lab {jaxopt_lab.__version__}\n"
    assert set(dir(jaxopt_lab)) >= {*jaxopt_lab.__all__, "optimizers"}
    assert "Any" not in dir(jaxopt_lab) and "importlib" not in dir(jaxopt_lab)
