"""The range test as a user runs it."""

import re
import tomllib

import numpy as np
import pytest

from jaxopt_lab.cli import main
from jaxopt_lab.config.load import load_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.commands.find_lr import apply, find_lr

CONFIG = """# what it is for
[data]
name = "digits"
[model]
name = "mlp"
hidden = [16]
[optimizer]
name = "sgd"
learning_rate = 1.0  # too much
[schedule]
name = "cosine_decay"
[train]
epochs = 1
"""


@pytest.fixture(name="path")
def _path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def test_finds_rates_that_train_and_stops_where_they_do_not(path):
    found = find_lr(path, low=1e-5, high=1e3, steps=80, seeds=3, progress=False)
    assert found.losses.shape == found.smooth.shape == (3, 80)
    assert np.isnan(found.smooth[:, -1]).all(), "a rate of 1000 diverges"
    first = found.losses[:, 0]
    for rate in (found.valley, found.steepest):
        assert 1e-3 < rate < 1.0
        at = np.searchsorted(found.rates, rate)
        assert (found.losses[:, at] < first + 0.5).all()


def test_a_flat_curve_suggests_nothing_and_nothing_is_applied(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    flat = ["--low", "1e-12", "--high", "1e-9", "--steps", "40", "--seeds", "2", "--apply"]
    assert main(["find-lr", str(path), *flat]) == 2
    out, err = capsys.readouterr()
    assert "the loss does not fall between 1e-12 and 1e-09" in err and "no suggestion" in out
    assert not (tmp_path / "config-lr.toml").exists()


def test_the_command_draws_and_applies(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    options = ["--steps", "40", "--seeds", "1", "--high", "100", "--apply"]
    assert main(["find-lr", str(path), *options]) == 0
    assert (tmp_path / "config-find-lr.png").read_bytes().startswith(b"\x89PNG")
    copy = tmp_path / "config-lr.toml"
    rate = load_config(copy).optimizer.arguments["learning_rate"]
    assert f"{rate:.3g}" in capsys.readouterr().out
    expected = re.sub("learning_rate = 1.0", f"learning_rate = {rate:.3g}", CONFIG)
    assert copy.read_text() == expected, "all else is as it was, comments too"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('optimizer = {name = "sgd"}\n', None),
        (
            'optimizer.name = "sgd" # a\n',
            'optimizer.name = "sgd" # a\noptimizer.learning_rate = 0.123\n',
        ),
        (
            "[optimizer] # a\r\nlearning_rate=1e-3 # b\r\n",
            "[optimizer] # a\r\nlearning_rate=0.123 # b\r\n",
        ),
        (
            '[optimizer]\n"learning_rate" = 1\n[optimizer.momentum]\nname = "constant"\n',
            '[optimizer]\n"learning_rate" = 0.123\n[optimizer.momentum]\nname = "constant"\n',
        ),
        ('\ufeff[optimizer]\nname = "sgd"\n\n# the rest\n[train]\nsteps = 3\n', None),
    ],
)
def test_a_rate_stands_wherever_toml_may_have_it(text, expected, tmp_path):
    path, copy = tmp_path / "config.toml", tmp_path / "copy.toml"
    path.write_bytes(text.encode())
    apply(path, 0.12345, copy)
    written = copy.read_bytes().decode()
    tables = tomllib.loads(text.removeprefix("\ufeff"))
    assert tomllib.loads(written) == tables | {
        "optimizer": tables["optimizer"] | {"learning_rate": 0.123}
    }
    assert expected is None or written == expected


def test_says_what_is_wrong(path, tmp_path):
    for low, high in ((1, 0.1), (1e-30, 1e10), (1e-320, 1e308)):
        with pytest.raises(InputError, match=f"0 < low < high, .* apart, got low = {low}"):
            find_lr(path, low=low, high=high)
    with pytest.raises(InputError, match="steps >= 10"):
        find_lr(path, steps=3)
    with pytest.raises(InputError, match="is the configuration itself"):
        apply(path, 0.1, path)
    odd = tmp_path / "odd.toml"
    odd.write_text('optimizer = "sgd"\n')
    with pytest.raises(InputError, match="has no \\[optimizer\\]"):
        apply(odd, 0.1, tmp_path / "copy.toml")
