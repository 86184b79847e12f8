"""A configuration from a stranger is read or refused in one readable message, whatever is in it."""

import os
import pathlib
import random

import pytest
from refusal import refused_well

from jaxopt_lab import cli
from jaxopt_lab.config.load import load_config, load_linear_config
from jaxopt_lab.config.sweep import load_sweep
from jaxopt_lab.config.toml import DEEPEST, TomlError, read_toml
from jaxopt_lab.core.errors import InputError

CONFIGS = sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.toml"))
VALUES = [
    "1e400", "-1", "nan", "inf", "0", '""', "[]", "{}", "true", "10**30", "1" * 5000, "9" * 20,
    f'"{"x" * 30000}"', "[1,[2,[3]]]", "[" * 2000 + "]" * 2000, "{a={b={c=1}}}", '"50%"',
    '"1e309 epochs"', "1e308", '"\\u0000\\u001b[31m\\u202e"', "1979-05-27", "1e-400", '"auto"',
    "{log=[1,2],n=3}", "{linear=[0,1],n=10000000000}", "{log=[1e-300,1e300],n=5}", "adam", "a b",
    "2147483647", "1000000", "[50000, 50000]",
]  # fmt: skip
KEYS = [
    "optimizer.learning_rate", "model.hidden", "train.epochs", "data.batch_size", "seed",
    "schedule.0.steps", "control.0.patience", "augment.0", "augment.²", "schedule.٣.name", "..",
    "optimizer", "optimizer.name", "linear.name", "linear.lam", "", "=", "x" * 3000, "sweep.seeds",
    "mesh.data", "log.layers", "group.0.match", "metric.0.name", '"a.b".c', "data.name",
]  # fmt: skip


def mutated(text, draw):
    lines = text.split("\n")
    for _ in range(draw.randint(1, 4)):
        i = draw.randrange(len(lines))
        how = draw.random()
        if how < 0.6 and "=" in lines[i]:
            lines[i] = f"{lines[i].partition('=')[0]}= {draw.choice(VALUES)}"
        elif how < 0.8:
            lines.insert(i, draw.choice(lines))
        else:
            cut = draw.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:cut] + chr(draw.randrange(1, 300)) + lines[i]
    return "\n".join(lines)


@pytest.mark.parametrize("count", [200, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_mutated_file_is_read_or_refused(tmp_path, count):
    draw, path = random.Random(0), tmp_path / "config.toml"
    texts = [p.read_text() for p in CONFIGS if "[linear]" not in p.read_text()]
    refused = 0
    for _ in range(count):
        text = mutated(draw.choice(texts), draw)
        path.write_text(text, encoding="utf-8")
        load = load_sweep if "[sweep]" in text else load_config
        refused += refused_well(lambda load=load: load(path, say=lambda text: None))
    assert count / 2 < refused < count


@pytest.mark.parametrize("count", [200, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_strange_option_is_taken_or_refused(count):
    draw, quiet = random.Random(0), {"say": lambda text: None}
    path = {path.stem: path for path in CONFIGS}

    def calls(change):
        whole = path["digits_nesterov_sgdr_snapshots"]
        yield lambda: load_config(whole, [change], **quiet)
        yield lambda: load_config(whole, unset=[change.partition("=")[0]], **quiet)
        yield lambda: load_sweep(path["digits_lr_sweep"], grid=[change], **quiet)
        yield lambda: load_linear_config(path["diabetes_lasso"], [change], **quiet)

    for _ in range(count):
        for call in calls(f"{draw.choice(KEYS)}={draw.choice(VALUES)}"):
            refused_well(call)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 40 + "]" * 40, f"more than {DEEPEST} deep"),
        ("a = " + "[" * 3000 + "]" * 3000, f"more than {DEEPEST} deep"),
        ("a = " + "1" * 5000, "thousands of digits"),
        ("a = ", "Invalid value"),
    ],
)
def test_what_is_no_toml_is_told(text, words):
    with pytest.raises(TomlError, match=words):
        read_toml(text)
    assert read_toml("a = 9223372036854775808") == {"a": 2**63}  # for who knows its range to say


def test_a_terminal_gets_no_control_characters(tmp_path, capsys):
    assert cli.main(["train", str(tmp_path / "\x1b[31mred\x07.toml")]) == 2
    assert "\\x1b[31mred\\x07.toml: no such file" in capsys.readouterr().err


def test_a_pipe_is_no_configuration_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(InputError, match="no regular file"):
        load_config(tmp_path / "config.toml")
