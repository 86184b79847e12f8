"""`[start]`: what is loaded is what the run begins with, and what is not is said."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

import jaxopt_lab
from jaxopt_lab import cli
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.start import started, with_start
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.run.records.run_folder import RunFolder

TABLES = {
    "data": {"name": "digits", "batch_size": 64, "train_size": 256},
    "model": {"name": "mlp", "hidden": [8], "norm": "batch"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"steps": 6, "checkpoint_every": 2},
}
NAMES = {
    "Dense_0.kernel": (64, 8),
    "BatchNorm_0.scale": (8,),
    "BatchNorm_0.bias": (8,),
    "Dense_1.kernel": (8, 10),
    "Dense_1.bias": (10,),
    "batch_stats.BatchNorm_0.mean": (8,),
    "batch_stats.BatchNorm_0.var": (8,),
}


def config(start=None, **tables):
    given = {} if start is None else {"start": start}
    return parse_config(TABLES | given | tables)


def named(variables):
    leaves = flatten_with_names(variables)
    return {k.replace("/", ".").removeprefix("params."): np.asarray(v) for k, v in leaves.items()}


def begins(start, **tables):
    """What a run begins with, by name."""
    state = build(config(start, **tables)).init(jax.random.key(5))
    return named({"params": state.params, **state.model_state})


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "run"
    jaxopt_lab.train(config(), folder, progress=False)
    return folder


@pytest.fixture(name="file")
def _file(tmp_path):
    draws = np.random.default_rng(1)
    arrays = {n: draws.normal(size=s).astype(np.float32) for n, s in NAMES.items()}
    save_file(arrays, tmp_path / "weights.safetensors")
    return arrays, tmp_path / "weights.safetensors"


def kept(run, step=None):
    found = jaxopt_lab.load_run(run, step=step)
    state = found.state and found.state.model_state
    return named({"params": found.params, **(state or found.model_state)})


def test_a_run_begins_where_another_ended(run):
    equal(begins({"from": str(run)}), kept(run))
    equal(begins({"from": str(run), "step": 4}), kept(run, 4))
    equal(begins({"from": str(run), "which": "last"}), kept(run, 6))


def test_the_optimizer_begins_there_too(run):
    control = [{"name": "weight_ema", "decay": 0.5}]
    state = build(config({"from": str(run)}, control=control)).init(jax.random.key(0))
    averages = [x for x in jax.tree.leaves(state.opt_state) if jnp.shape(x) == (64, 8)]
    assert any((a == kept(run)["Dense_0.kernel"]).all() for a in averages)


def test_a_file_is_taken_by_name(file):
    arrays, path = file
    equal(begins({"from": str(path)}), arrays)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_floats_are_taken_in_the_model_s_dtype(tmp_path, file, dtype):
    arrays = {name: a.astype(jnp.dtype(dtype)) for name, a in file[0].items()}
    save_file(arrays, tmp_path / "narrow.safetensors")
    found = begins({"from": str(tmp_path / "narrow.safetensors")})
    equal(found, {name: a.astype(np.float32) for name, a in arrays.items()})
    assert all(a.dtype == np.float32 for a in found.values())


@pytest.mark.parametrize("rules", [[["^backbone\\.", ""], ["fc", "Dense"]], None])
def test_names_are_changed_by_rules(tmp_path, file, rules):
    arrays = {"backbone." + n.replace("Dense", "fc"): a for n, a in file[0].items()}
    path = tmp_path / "other.safetensors"
    save_file(arrays, path)
    rules = rules or {"^backbone\\.(.*)": "\\1", "fc_(\\d)": "Dense_\\1"}
    equal(begins({"from": str(path), "rename": rules}), file[0])
    with pytest.raises(InputError, match=r"there: backbone.*; here: BatchNorm_0\.bias, .*Dense_0"):
        begins({"from": str(path)})


def test_what_does_not_fit_is_drawn_anew_and_said(run, tmp_path, capsys):
    wider = {"name": "mlp", "hidden": [8, 10], "norm": "batch"}
    still = {"name": "sgd", "learning_rate": 1e-9}
    made = config({"from": str(run)}, model=wider, optimizer=still)
    found, drawn = begins({"from": str(run)}, model=wider), begins(None, model=wider)
    loaded = {
        name: array
        for name, array in kept(run).items()
        if name in found and array.shape == found[name].shape
    }
    assert loaded.keys() == NAMES.keys() - {"Dense_1.bias"}
    equal(found, drawn | loaded)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(made))
    assert cli.main(["train", str(path), "--dry-run"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "started from" in out and "the last that it kept, of step 6" in out
    assert "drawn anew: not there" in out and "loaded" in out
    assert cli.main(["train", str(path), "--run-dir", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert "of 12 arrays" in out and "BatchNorm_1.scale 10: drawn anew: not there" in out
    trained = named({"params": jaxopt_lab.load_run(tmp_path / "new").params})
    for name in loaded.keys() & trained.keys():
        np.testing.assert_allclose(trained[name], loaded[name], atol=1e-6)


def test_a_new_head_is_drawn_and_an_old_one_skipped(run, file, tmp_path):
    arrays = file[0] | {"Dense_1.kernel": np.ones((8, 3), np.float32), "head": np.ones(2)}
    arrays |= {"Dense_1.bias": np.ones(10, np.int32)}
    save_file(arrays, tmp_path / "head.safetensors")
    made = config({"from": str(tmp_path / "head.safetensors")})
    experiment = build(made)
    begun = started(experiment, with_start(made, read(made)).start)
    assert begun.unlike == {
        "Dense_1.kernel": ((8, 3), (8, 10)),
        "Dense_1.bias": ((10,), (10,)),
    }
    assert begun.unused == {"head": (2,)} and not begun.drawn
    assert begun.loaded.keys() == NAMES.keys() - begun.unlike.keys()
    lines = "\n".join(begun.lines())
    assert "5 of 7 arrays, 544 numbers, are loaded" in lines
    assert "Dense_1.kernel 8 x 10: drawn anew: 8 x 3 there" in lines
    assert "head 2: skipped: not in the model" in lines


def test_a_resumed_run_does_not_read_it_again(run, tmp_path):
    source, folder = tmp_path / "source", tmp_path / "run"
    shutil.copytree(run, source)
    whole = jaxopt_lab.train(config({"from": str(source)}), folder, progress=False)
    shutil.rmtree(source)
    (folder / "summary.json").unlink()
    again = jaxopt_lab.train(None, folder, resume=True, from_step=4, progress=False)
    jax.tree.map(np.testing.assert_array_equal, again.params, whole.params)
    jaxopt_lab.load_run(folder)
    for step in (2, 4, 6):
        for file in (folder / "checkpoints").glob(f"step-{step:08d}*"):
            file.unlink()
    with pytest.raises(ConfigError, match=r"start\.from: must be the folder of a run"):
        jaxopt_lab.train(None, folder, resume=True, progress=False)


@pytest.mark.slow
def test_a_run_is_diagnosed_without_its_source(run, tmp_path):
    source, folder = tmp_path / "source", tmp_path / "run"
    shutil.copytree(run, source)
    jaxopt_lab.train(config({"from": str(source)}), folder, progress=False)
    shutil.rmtree(source)
    assert jaxopt_lab.diagnose(folder)


@pytest.mark.slow
def test_a_sweep_begins_there_in_one_program(run, capsys):
    axes = {"optimizer.learning_rate": [1e-9, 0.01], "seeds": 2}
    plan = parse_sweep(TABLES | {"start": {"from": str(run)}, "sweep": axes})
    (group,) = group_runs([each.config for each in plan.runs], lambda c: with_start(c, read(c)))
    assert ("optimizer", "learning_rate") in group.traced
    swept = jaxopt_lab.sweep(plan)
    assert capsys.readouterr().out.count("started from") == 1
    for record in swept.runs[:2]:
        assert record is not None
        for name, array in named({"params": record.params}).items():
            np.testing.assert_allclose(array, kept(run)[name], atol=1e-6)


@pytest.mark.slow
def test_starts_may_be_swept(run, file):
    axes = {"start.from": [str(run), str(file[1])]}
    plan = parse_sweep(TABLES | {"start": {"from": str(run)}, "sweep": axes})
    swept = jaxopt_lab.sweep(plan, progress=False)
    losses = [record.history["loss"][0] for record in swept.runs if record]
    assert losses[0] != losses[1]


def test_the_path_is_of_the_configuration_s_folder(run, tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    shutil.copytree(run, tmp_path / "configs" / "there")
    text = to_toml(config()) + '[start]\nfrom = "there"\n'
    (tmp_path / "configs" / "config.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    made = jaxopt_lab.load_config("configs/config.toml")
    assert made.start and made.start.source == str(tmp_path / "configs" / "there")
    moved = jaxopt_lab.load_config("configs/config.toml", ["start.from=elsewhere"])
    assert moved.start and moved.start.source == str(tmp_path / "elsewhere")
    folder = RunFolder("run")
    folder.begin(made, read(made).signature)
    assert folder.own_config() == made


def test_other_libraries_begin_there_too(run, tmp_path):
    class Net(nnx.Module):
        def __init__(self, outputs, *, rngs):
            self.head = nnx.Linear(64, outputs, rngs=rngs)

        def __call__(self, x):
            return self.head(x.reshape(len(x), -1))

    kernel = np.full((64, 10), 0.5, np.float32)
    save_file({"head.kernel": kernel}, tmp_path / "x.safetensors")
    with jaxopt_lab.extended({"model": {"mine": functools.partial(Net)}}):
        found = begins({"from": str(tmp_path / "x.safetensors")}, model={"name": "mine"})
    np.testing.assert_array_equal(found["head.kernel"], kernel)


@pytest.mark.parametrize(
    ("start", "path", "text"),
    [
        ({}, "start.from", "missing; the folder of a run, or a .safetensors file"),
        ({"from": 3}, "start.from", "must be a path"),
        ({"from": "x", "wich": "kept"}, "start.wich", "unknown, did you mean 'which'"),
        ({"from": "x", "which": "best"}, "start.which", "must be 'kept' or 'last', got 'best'"),
        ({"from": "x", "step": -1}, "start.step", "must be >= 0"),
        ({"from": "x", "step": 3, "which": "last"}, "start.step", "leave out which"),
        ({"from": "x", "rename": "a"}, "start.rename", "must be a list"),
        ({"from": "x", "rename": ["a"]}, "start.rename", "must be a list"),
        ({"from": "x", "rename": [["a"]]}, "start.rename.0", "must be [pattern, replacement]"),
        ({"from": "x", "rename": [["(", ""]]}, "start.rename.0", "is no regular expression"),
        ({"from": "x", "rename": [["a", "\\2"]]}, "start.rename.0", "cannot be put in the place"),
        ({"from": "x", "rename": {"a": 3}}, "start.rename", "must be a list"),
    ],
)
def test_the_table_is_checked(start, path, text):
    with pytest.raises(ConfigError) as error:
        config(start)
    faults = dict(error.value.faults)
    assert text in faults[path], faults


def test_what_is_no_start_is_told(run, tmp_path, file):
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.pt").write_bytes(b"PK")
    (tmp_path / "swept").mkdir()
    (tmp_path / "swept" / "sweep.toml").write_text("")
    (tmp_path / "damaged.safetensors").write_bytes(file[1].read_bytes()[:-1])
    same = {"from": str(file[1]), "rename": [["Dense_\\d.*", "Dense"]]}
    for start, text in [
        (
            {"from": str(tmp_path / "none")},
            "must be the folder of a run or a .*none is not there",
        ),
        ({"from": str(tmp_path / "model.pt")}, "model.pt is something else"),
        (
            {"from": str(tmp_path / "empty")},
            "is no folder of a run with a checkpoint: train it first",
        ),
        ({"from": str(tmp_path / "swept")}, "swept is a sweep; give the folder of one run"),
        ({"from": str(tmp_path / "damaged.safetensors")}, "damaged"),
        ({"from": str(run), "step": 3}, "holds no checkpoint of step 3; there are: 6, 4"),
        ({"from": str(file[1]), "step": 3}, "start.step: is of a run's folder"),
        ({"from": str(file[1]), "which": "last"}, "start.which: is of a run's folder"),
        (same, "gives 'Dense_0.kernel' and 'Dense_1.bias' one name, 'Dense'"),
    ]:
        with pytest.raises(InputError, match=text):
            build(config(start))
    manifest = next((run / "kept").glob("step-*.json"))
    assert json.loads(manifest.read_text())["arrays"], "a flipped bit is seen, as in a resume"
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    archive = next((copy / "kept").glob("*.npz"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"):
        build(config({"from": str(copy)}))
