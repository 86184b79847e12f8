"""The page on what comes out tells the truth: its blocks run as they are printed."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import jaxopt_lab
from jaxopt_lab.cli import main
from jaxopt_lab.data import digits
from jaxopt_lab.run.commands.export import FORMATS

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "out.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory):
    """Where the page's run lies, with its images and its program."""
    import numpy as np

    folder = tmp_path_factory.mktemp("page")
    (folder / "configs").symlink_to(ROOT / "configs")
    config_changes = ["train.epochs=5"]
    config = jaxopt_lab.load_config(folder / "configs" / "digits_mlp.toml", config_changes)
    run = jaxopt_lab.train(config, folder / "runs" / "digits", progress=False).run
    faster = [*config_changes, "optimizer.learning_rate=1e-2"]
    jaxopt_lab.train(
        jaxopt_lab.load_config(folder / "configs" / "digits_mlp.toml", faster),
        folder / "runs" / "faster",
        progress=False,
    )
    np.savez(folder / "images.npz", **digits().test)
    jaxopt_lab.export(run, "stablehlo", folder / "model.stablehlo")
    return folder


@pytest.mark.parametrize(
    "block",
    [pytest.param(b, marks=pytest.mark.slow) if "sweep" in b else b for b in blocks("python")],
)
def test_a_block_runs(block, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(block, {"__name__": "__main__"})
    out = capsys.readouterr().out
    assert out and "False" not in out


@pytest.mark.slow
def test_the_commands_run(tmp_path):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "jaxopt-lab"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jaxopt_lab.cli "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), str(pathlib.Path(sys.executable).parent)])
    own = os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    (sweep,) = (block for block in blocks("python") if "load_sweep" in block)
    for text in (blocks("sh")[0], f"python - <<'END'\n{sweep}END\n", *blocks("sh")[1:]):
        subprocess.run(["sh", "-ec", text], cwd=tmp_path, env=own, check=True)
    assert len((tmp_path / "predicted.csv").read_text().splitlines()) == 361
    assert len((tmp_path / "together.csv").read_text().splitlines()) == 361
    names = {path.name for path in (tmp_path / "runs" / "digits" / "export").iterdir()}
    assert {"model.safetensors", "model.npz", "model.orbax", "model.orbax.json"} <= names


def test_every_format_and_option_is_told(capsys):
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == list(FORMATS)
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    there = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    lines = [line for text in blocks("sh") for line in text.splitlines() if " predict " in line]
    assert set(re.findall(r"--[a-z]+", " ".join(lines))) <= there
