"""What pages say in words and numbers of the program is what it has."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import pytest
from pages import PAGES, ROOT, blocks

from jaxopt_lab.cli import main
from jaxopt_lab.config.own import BRINGABLE
from jaxopt_lab.config.sections import MlflowConfig, TensorBoardConfig, WandbConfig
from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.run.commands.export import FORMATS
from jaxopt_lab.run.records import answers
from jaxopt_lab.run.trackers import background, rows, worst
from jaxopt_lab.run.trackers.hyperparameters import MOST_LETTERS
from jaxopt_lab.second_order import SECOND_ORDER


def text_of(page):
    return (ROOT / "docs" / page).read_text()


def words_of(page):
    """A page's text on one line."""
    return " ".join(text_of(page).split())


def test_every_format_and_option_is_told(capsys):
    assert re.findall(r"^\| `(\w+)` \|", text_of("out.md"), re.MULTILINE) == list(FORMATS)
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    there = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    lines = [line for b in blocks("docs/out.md", "sh") for line in b.text.splitlines()]
    used = " ".join(line for line in lines if " predict " in line)
    assert set(re.findall(r"--[a-z]+", used)) <= there


def test_every_command_is_told_and_no_other(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    there = set(re.findall(r"^    ([a-z-]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    told = re.findall(r"^\| `jaxopt-lab ([a-z-]+)", text_of("quickstart_launch.md"), re.MULTILINE)
    assert set(told) == there
    for page in PAGES:
        assert set(re.findall(r"`jaxopt-lab ([a-z-]+)", page.read_text())) <= there, page


def test_every_table_of_ones_own_is_told():
    told = re.findall(r"^\| (`[^|]+) \|", text_of("own.md"), re.MULTILINE)
    names = {name for row in told for name in re.findall(r"`(\w+)`", row)}
    assert names == BRINGABLE.keys() - {"linear", "features"}


def test_the_experiment_is_short():
    (script,) = (b for b in blocks("docs/own.md", "python") if b.file)
    assert len([line for line in script.text.splitlines() if line]) < 40


@pytest.mark.parametrize(
    ("name", "section"),
    [("tensorboard", TensorBoardConfig), ("wandb", WandbConfig), ("mlflow", MlflowConfig)],
)
def test_every_key_of_a_tracker_is_told(name, section):
    (row,) = re.findall(rf"^\| `{name}` \|.*\|(.*)\|$", text_of("trackers.md"), re.MULTILINE)
    told = set(re.findall(r"`(\w+)", row))
    assert told == {field.name for field in dataclasses.fields(section)}


def test_the_numbers_of_trackers_are_those_of_the_code():
    page = words_of("trackers.md")
    assert f"falls {background.MOST_WAITING:,} calls behind" in page
    assert f"does nothing for {background.PATIENCE:g} s" in page
    assert f"about {rows.MOST_ROWS:,} rows" in page and f"than {MOST_LETTERS} letters" in page
    assert f"first {worst.SAMPLES:,} images" in page and answers.WORST == 12


def test_what_an_optimizer_keeps():
    """The numbers a parameter, of those that do not depend on a layer's sides."""
    told = dict(
        re.findall(r"^\| `(\w+)` \| .*? \| (\d+)[ ,]", text_of("choose_optimizer.md"), re.M)
    )
    assert told.keys() == OPTIMIZERS.keys() | SECOND_ORDER.keys()
    params = {"kernel": jnp.zeros((100, 100))}
    for name, kept in told.items():
        if name in ("kfac", "shampoo", "soap"):
            continue
        make = (OPTIMIZERS | SECOND_ORDER)[name]
        state = jax.eval_shape(make(learning_rate=0.1).init, params)
        assert round(sum(x.size for x in jax.tree.leaves(state)) / 1e4) == int(kept), name


def test_every_family_is_named():
    page = text_of("quickstart_compose.md")
    for family in ("optimizers", "second_order"):
        (row,) = re.findall(rf"^\| `{family}` \|(.*)\|$", page, re.MULTILINE)
        named = {name for names in re.findall(r"`([^`]+)`", row) for name in names.split()}
        assert {"optimizers": OPTIMIZERS, "second_order": SECOND_ORDER}[family].keys() <= named
