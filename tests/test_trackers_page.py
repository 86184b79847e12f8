"""The page on trackers tells the truth: its blocks run and are read as they are printed."""

import dataclasses
import pathlib
import re
import tomllib

import pytest

from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sections import MlflowConfig, TensorBoardConfig, WandbConfig
from jaxopt_lab.run.records import answers
from jaxopt_lab.run.trackers import background, rows, worst
from jaxopt_lab.run.trackers.hyperparameters import MOST_LETTERS

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "trackers.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_block_runs(block, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exec(block, {"__name__": "__main__"})
    out = capsys.readouterr().out.strip()
    assert out == "True" or float(out) > 0.5


def test_the_tables_are_checked_as_a_file_s():
    whole = tomllib.loads((ROOT / "configs" / "digits_mlp.toml").read_text())
    trackers, layers = (parse_config(whole | tomllib.loads(text)).log for text in blocks("toml"))
    assert trackers.tensorboard and trackers.wandb and trackers.mlflow and layers.layers == 50
    assert trackers.wandb.mode == "offline" and trackers.tensorboard.histograms == 5
    for name, section in (
        ("tensorboard", TensorBoardConfig),
        ("wandb", WandbConfig),
        ("mlflow", MlflowConfig),
    ):
        (row,) = re.findall(rf"^\| `{name}` \|.*\|(.*)\|$", PAGE, re.MULTILINE)
        told = set(re.findall(r"`(\w+)", row))
        assert told == {field.name for field in dataclasses.fields(section)}


def test_the_numbers_are_those_of_the_code():
    said = f"falls {background.MOST_WAITING:,} calls behind, or that does\n  nothing for "
    assert f"{said}{background.PATIENCE:g} s" in PAGE
    assert f"about {rows.MOST_ROWS:,} rows" in PAGE and f"than {MOST_LETTERS} letters" in PAGE
    assert f"first {worst.SAMPLES:,} images" in PAGE and answers.WORST == 12
