"""What `show-data` prints and draws."""

import re

import numpy as np
import pytest
from PIL import Image

from jaxopt_lab import cli, data
from jaxopt_lab.plots import image_grid

DRAWS = np.random.default_rng(0)


@pytest.fixture(name="show")
def _show(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def show(table, *arguments):
        (tmp_path / "own.toml").write_text(f"[data]\n{table}\n")
        assert cli.main(["show-data", "own.toml", *arguments]) == 0
        return re.sub(" +", " ", capsys.readouterr().out)

    return show


def test_images_their_classes_and_what_is_there_twice(show, tmp_path):
    digits = data.digits()
    x, y = digits.train["x"][:60], digits.train["y"][:60] % 3  # a picture of three rows
    np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x[:9], y_test=y[:9], classes=list("abc"))
    out = show('name = "npz"\npath = "a.npz"', "--set", "data.validation=0.2")
    assert "| train | 48 | 8x8x1 uint8 | int32 | 0 to 255 |" in out
    assert "| test | 9 |" in out and "| validation | 12 |" in out
    counts = [
        [int(n) for n in row] for row in re.findall(r"\| [abc] \| (\d+) \| (\d+) \| (\d+)", out)
    ]
    np.testing.assert_array_equal(np.sum(counts, 0), [48, 12, 9])
    np.testing.assert_array_equal(np.sum(counts, 1), np.bincount(np.concatenate([y, y[:9]])))
    shared = [int(n) for n in re.findall(r"samples of test that are in \w+ too: (\d+)", out)]
    assert sum(shared) == 9
    with Image.open(tmp_path / "own-data.png") as picture:
        assert picture.width > 300


@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_tables_by_column_with_what_is_missing(show, tmp_path, target):
    rows = ["a,b,y", *(f"{i if i % 5 else ''},{i / 7},{'uv'[i % 2]}" for i in range(1, 60))]
    if target == "numbers":
        rows = [rows[0], *(f"{row[:-1]}{i / 3}" for i, row in enumerate(rows[1:]))]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    table = 'name = "table"\npath = "a.csv"\ntarget = "y"\nmissing = "mean"\nvalidation = 0'
    out = show(table, "--output", "drawn.png")
    count = 50
    assert f"| train | {count} | 2 float32 |" in out
    held = [int(n) for n in re.findall(r"\| (?:train|test) \|.* to [0-9.]+ \| (\d+) \|", out)]
    assert sum(held) == 11
    assert re.search(r"\| a \|.* \| " + str(held[0]) + r" \|", out)
    assert ("| train | 0 |" in out) == (target == "numbers")
    assert ("| u | " in out) == (target == "classes")
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["labels", "numbers", "rgba"])
def test_images_with_other_targets(show, tmp_path, kind):
    channels = 4 if kind == "rgba" else 3
    x = DRAWS.integers(0, 256, (20, 5, 4, channels)).astype(np.uint8)
    y = {
        "labels": DRAWS.integers(0, 2, (20, 3)),
        "numbers": DRAWS.normal(size=20),
        "rgba": np.arange(20) % 2,
    }[kind]
    np.savez(tmp_path / "a.npz", x=x / np.float32(99) if kind == "numbers" else x, y=y)
    out = show('name = "npz"\npath = "a.npz"')
    assert "wrote own-data.png" in out


def test_samples_that_are_no_picture_are_said_so(show, tmp_path):
    np.savez(tmp_path / "a.npz", x=DRAWS.normal(size=(20, 5, 4)), y=np.arange(20) % 2)
    assert "no picture: samples of shape (5, 4)" in show('name = "npz"\npath = "a.npz"')
    assert not (tmp_path / "own-data.png").exists()


@pytest.mark.parametrize("columns", [60, 80])
def test_no_number_is_cut_in_two_on_a_narrow_terminal(tmp_path, monkeypatch, capsys, columns):
    monkeypatch.chdir(tmp_path)
    x = DRAWS.normal(size=(40, 2)) / 1000
    rows = ["a long name,b,y", *(f"{a:.6g},{b:.6g},{'uv'[i % 2]}" for i, (a, b) in enumerate(x))]
    (tmp_path / "a.csv").write_text("\n".join([*rows, ",1000000,u"]))
    table = '[data]\nname = "table"\npath = "a.csv"\ntarget = "y"\nmissing = "mean"'
    (tmp_path / "own.toml").write_text(table)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main(["show-data", "own.toml"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    numbers = x[:, 0].astype(np.float32)
    words = set(out.split())
    assert {"validation", "missing", "largest"} <= words
    assert words & {f"{number:.4g}" for number in (*numbers, *x[:, 1].astype(np.float32))}


def test_published_data_and_faults(show, tmp_path, capsys):
    assert "| train | 409 | 30 float32 |" in show('name = "breast_cancer"')
    (tmp_path / "own.toml").write_text('[data]\nname = "npz"\n')
    assert cli.main(["show-data", "own.toml"]) == 2
    assert "data.path: missing; npz needs it: a path" in capsys.readouterr().err
    (tmp_path / "own.toml").write_text("[model]\n")
    assert cli.main(["show-data", "own.toml"]) == 2
    assert "data: missing" in capsys.readouterr().err


def test_a_grid_takes_alpha():
    assert image_grid({"image": np.zeros((1, 2, 4, 4, 4), np.uint8)}).axes
