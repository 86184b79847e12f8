"""A run on files of one's own: where they lie, what is held out, and what a resume holds it to."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import jaxopt_lab
from jaxopt_lab import cli, data
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.source import read
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import seal

CONFIG = """
[data]
name = "{name}"
{arguments}
batch_size = 16
validation = 0.2
[model]
name = "mlp"
hidden = [8]
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
steps = 6
checkpoint_every = 3
"""
ROWS = 100


@pytest.fixture(name="home")
def _home(tmp_path, monkeypatch):
    """A project: digits in data/, as images and as arrays, its configurations in configs/."""
    digits = data.digits().train
    images, labels = digits["x"][:ROWS], digits["y"][:ROWS]
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = tmp_path / "data" / "images" / str(label) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    np.savez(tmp_path / "data" / "digits.npz", x=images, y=labels)
    np.save(tmp_path / "data" / "x.npy", images)
    np.save(tmp_path / "data" / "y.npy", labels)
    (tmp_path / "configs").mkdir()
    for name, arguments in {
        "image_folder": 'path = "../data/images"',
        "npz": 'path = "../data/digits.npz"',
        "npy": 'x = "../data/x.npy"\ny = "../data/y.npy"',
    }.items():
        text = CONFIG.format(name=name, arguments=arguments)
        (tmp_path / "configs" / f"{name}.toml").write_text(text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    return tmp_path


@pytest.mark.parametrize("name", ["image_folder", "npz", "npy"])
def test_a_path_is_relative_to_the_file_that_says_it(home, name):
    config = jaxopt_lab.load_config(home / "configs" / f"{name}.toml")
    paths = [v for v in config.data.source.arguments.values() if isinstance(v, str)]
    assert paths and all(pathlib.Path(path).is_absolute() for path in paths)
    assert len(read(config).train["y"]) == 68  # of 100, without 15 and then a fifth
    again = jaxopt_lab.load_config(
        pathlib.Path("../configs") / f"{name}.toml", ["data.batch_size=8"]
    )
    assert again.data.source == config.data.source


def test_a_path_of_the_command_line_is_relative_to_the_working_directory(home):
    (home / "elsewhere" / "here.npz").write_bytes((home / "data" / "digits.npz").read_bytes())
    config = jaxopt_lab.load_config(home / "configs" / "npz.toml", ['data.path="here.npz"'])
    assert config.data.source.arguments["path"] == str(home / "elsewhere" / "here.npz")
    tables = {
        "data": {"name": "npz", "path": "here.npz"},
        "model": {"name": "mlp"},
        "optimizer": {"name": "adam", "learning_rate": 0.1},
        "train": {"steps": 1},
    }
    assert parse_config(tables).data.source == config.data.source
    tables["data"]["path"] = ""
    with pytest.raises(ConfigError, match=r"data\.path: must be a path"):
        parse_config(tables)


def test_a_path_is_no_part_of_what_a_run_is(home):
    first = jaxopt_lab.load_config(home / "configs" / "npz.toml")
    moved = jaxopt_lab.load_config(home / "configs" / "npz.toml", ['data.path="a.npz"'])
    other = jaxopt_lab.load_config(home / "configs" / "npz.toml", ["data.seed=1"])
    assert config_hash(first) == config_hash(moved) != config_hash(other)


@pytest.mark.parametrize("name", ["image_folder", pytest.param("npz", marks=pytest.mark.slow)])
def test_a_run_goes_on_where_its_data_has_moved_to(home, name, capsys):
    config, run = home / "configs" / f"{name}.toml", str(home / "run")
    assert cli.main(["train", str(config), "--run-dir", run]) == 0
    folder = RunFolder(run)
    source = read(folder.own_config())
    parts = json.loads(folder.split.read_text())
    assert parts == source.parts
    assert len(parts["test"]) == 15 and len(parts["validation"]) == 17
    assert not set(map(str, parts["test"])) & set(map(str, parts["validation"]))
    signature = folder.own_signature()
    assert signature.difference(source.signature) is None
    assert len(signature.fingerprint) == 64 and signature.targets == "classes"
    whole = (folder.checkpoints / "step-00000006.npz", folder.metrics)
    before = [path.read_bytes() for path in whole if path.exists()]

    (home / "data").rename(home / "moved")
    resume = ["train", "--resume", run, "--from-step", "3"]
    assert cli.main(resume) == 2
    assert "images" in (error := capsys.readouterr().err) or "digits.npz" in error
    place = "images" if name == "image_folder" else "digits.npz"
    assert cli.main([*resume, "--set", f'data.path="../moved/{place}"']) == 0
    assert [path.read_bytes() for path in whole if path.exists()] == before
    # It knows the new place from now on.
    assert folder.own_config().data.source.arguments["path"] == str(home / "moved" / place)
    folder.require_data(read(folder.own_config()).signature, parts)


def test_a_resume_sets_nothing_but_paths(home, capsys):
    config = jaxopt_lab.load_config(home / "configs" / "npz.toml")
    RunFolder(home / "run").begin(config, read(config).signature)
    for change in ("seed=1", "data.seed=1", "train.checkpoint_seconds=5", "mesh.data=2"):
        assert cli.main(["train", "--resume", str(home / "run"), "--set", change]) == 2
        assert "says where the data lies and nothing else" in capsys.readouterr().err


def test_a_sweep_goes_on_where_its_data_has_moved_to_and_not_with_other_data(home, capsys):
    config, run = str(home / "configs" / "npz.toml"), home / "sweep"
    axis = "optimizer.learning_rate=[0.01, 0.02]"
    assert cli.main(["sweep", config, "--grid", axis, "--run-dir", str(run)]) == 0
    table = (run / "sweep.csv").read_bytes()
    (home / "data").rename(home / "moved")
    (run / "sweep.csv").unlink()
    resume = ["sweep", "--resume", str(run)]
    assert cli.main(resume) == 2
    assert "digits.npz" in capsys.readouterr().err
    assert cli.main([*resume, "--set", "seed=1"]) == 2
    assert "says where the data lies and nothing else" in capsys.readouterr().err
    assert cli.main([*resume, "--set", 'data.path="../moved/digits.npz"']) == 0
    assert (run / "sweep.csv").read_bytes() == table
    assert cli.main(resume) == 0  # it knows the new place from now on
    moved = home / "moved" / "digits.npz"
    arrays = dict(np.load(moved))
    np.savez(moved, **(arrays | {"y": arrays["y"][::-1]}))
    capsys.readouterr()
    assert cli.main(resume) == 2
    assert "was begun with other data" in capsys.readouterr().err


def test_other_data_is_refused_and_what_differs_is_said(home):
    config = jaxopt_lab.load_config(home / "configs" / "image_folder.toml")
    jaxopt_lab.train(config, home / "run", progress=False)
    images = home / "data" / "images"
    changed = sorted((images / "3").iterdir())[0]
    content = changed.read_bytes()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(changed)
    with pytest.raises(InputError, match=r"the content of one has changed; give the data\.path"):
        jaxopt_lab.train(None, home / "run", resume=True, progress=False)
    changed.write_bytes(content)
    shutil.copy(changed, changed.with_name("zzz.png"))
    with pytest.raises(InputError, match="samples is 69, it was 68"):
        jaxopt_lab.train(None, home / "run", resume=True, progress=False)
    changed.with_name("zzz.png").unlink()
    split = RunFolder(home / "run").split
    parts = json.loads(split.read_text())
    split.write_text(json.dumps({**parts, "test": parts["test"][1:]}))
    seal(home / "run", {split.name: None})
    with pytest.raises(InputError, match=r"other samples are held out than split\.json says"):
        jaxopt_lab.train(None, home / "run", resume=True, progress=False)


def test_shares_and_seed_of_the_data(home):
    load = lambda *changes: read(  # noqa: E731
        jaxopt_lab.load_config(home / "configs" / "npz.toml", changes)
    )
    assert len(load("data.test=0.3").test["y"]) == 30
    assert load().parts == load("seed=5").parts != load("data.seed=5").parts
    for wrong, text in {
        "data.test=0": "must be in (0, 1)",
        "data.test=1": "must be in (0, 1)",
        "data.seed=-1": "must be in [0, 2147483647]",
        "data.seed=2147483648": "must be in [0, 2147483647]",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load(wrong)
        assert text in str(caught.value)
    with pytest.warns(UserWarning, match="left out"):
        digits = jaxopt_lab.load_config(
            home / "configs" / "npz.toml", ["data.name=digits", "data.test=0.2"]
        )
    with pytest.raises(ConfigError, match=r"data\.test: 0\.2 is a share of data without"):
        read(digits)


def test_statistics_are_of_what_is_trained_on(home):
    source = read(jaxopt_lab.load_config(home / "configs" / "npz.toml", ["data.train_size=40"]))
    x = source.train["x"].astype(np.float64) / 255
    assert len(x) == 40
    np.testing.assert_allclose(source.signature.mean, x.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(source.signature.std, x.std((0, 1, 2)), rtol=1e-6)


def test_missing_values_that_nothing_fills_are_refused(home):
    config = jaxopt_lab.load_config(home / "configs" / "npz.toml")
    told = set()
    for row in range(0, ROWS, 4):
        x = np.zeros((ROWS, 3), np.float32)
        x[row, 1] = np.nan
        np.savez(home / "data" / "digits.npz", x=x, y=np.arange(ROWS) % 2)
        with pytest.raises(InputError, match="holds NaN or infinite values") as caught:
            read(config)
        assert f"in column 1 of its last axis, row {row} of x for one" in str(caught.value)
        told.add(str(caught.value).partition(" holds")[0])
    assert told == {f"x of the {part} split" for part in ("train", "validation", "test")}


def test_a_signature_keeps_what_a_table_became(home):
    rows = ["a,b,y", *(f"{i if i % 7 else ''},{'uvw'[i % 3]},{i % 2}" for i in range(1, 50))]
    (home / "data" / "a.csv").write_text("\n".join(rows))
    text = CONFIG.format(name="table", arguments='path = "../data/a.csv"\nmissing = "mean"')
    (home / "configs" / "table.toml").write_text(text.replace("[model]", 'target = "y"\n[model]'))
    own = read(jaxopt_lab.load_config(home / "configs" / "table.toml")).signature
    again = Signature.from_json(json.loads(json.dumps(own.to_json())), "it")
    assert own.difference(again) is None and again.difference(own) is None
    assert again.columns == own.columns and again.targets == "classes"
    np.testing.assert_array_equal(again.fill, own.fill)
    assert own.inputs(np.array([[np.nan, 1, 0, 0]]))[0, 0] == own.fill[0]
    for other in (own._replace(fill=None), own._replace(fill=own.fill + 1)):
        assert "fill is" in own.difference(other) and "fill is" in other.difference(own)


def test_the_target_of_old_is_told_apart_from_an_argument(home):
    with pytest.raises(ConfigError, match=r"data\.target: was renamed: reconstruct = true"):
        jaxopt_lab.load_config(home / "configs" / "npz.toml", ['data.target="x"'])
