"""What a shell completes of the command line."""

import shutil
import subprocess

import pytest

from jaxopt_lab.cli import main
from jaxopt_lab.config.shipped import shipped
from jaxopt_lab.config.tables import FAMILIES

ASK = """
source ./script
COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
_shtab_jaxopt_lab jaxopt-lab "${COMP_WORDS[COMP_CWORD]}" ""
printf '%%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="script")
def _script(tmp_path, monkeypatch, capsys):
    pytest.importorskip("shtab")
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    monkeypatch.chdir(tmp_path)
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "mine.toml").touch()
    (tmp_path / "runs").mkdir()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tr", {"train"}),
        ("train digits_ml", {name for name in shipped() if name.startswith("digits_ml")}),
        ("train mi", {"mine.toml"}),
        ("train --res", {"--resume"}),
        ("verify r", {"runs"}),
        ("verify m", set()),
        ("configs --copy digits_mlp_", {n for n in shipped() if n.startswith("digits_mlp_")}),
        ("list opt", {name for name in FAMILIES if name.startswith("opt")}),
        ("completion z", {"zsh"}),
    ],
)
def test_bash(script, words, expected):
    done = subprocess.run(
        ["bash", "-c", ASK % f"jaxopt-lab {words}"], capture_output=True, text=True, check=False
    )
    assert not done.stderr
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_each_shell_reads_its_script(shell, tmp_path, capsys):
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    subprocess.run([shell, "-n", str(script)], check=True)


def test_without_shtab_its_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["completion", "bash"]) == 2
    assert 'pip install "jaxopt_lab[lab]"' in capsys.readouterr().err
