"""A trained run is read back from its folder, and predicts, without its data."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data import DATASETS, digits
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.chosen_step import why_this_step
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import seal, unseal

DATA = {"name": "digits", "batch_size": 128, "validation": 0.15, "train_size": 512}


def config(**tables):
    given = {
        "data": DATA,
        "model": {"name": "mlp", "hidden": [16], "norm": "batch", "dropout": 0.2},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {"steps": 12, "evaluate_every": 4},
    }
    return parse_config(given | tables)


@pytest.fixture(name="without_data")
def _without_data(monkeypatch):
    """Afterwards the data set is gone."""

    def gone():
        raise AssertionError("the data set was read")

    return lambda: monkeypatch.setitem(DATASETS, "digits", gone)


KINDS = {
    "last": {},
    "best": {"control": [{"name": "early_stopping"}, {"name": "weight_ema"}]},
    "average": {"control": [{"name": "weight_ema", "decay": 0.9}]},
    "schedule-free": {"optimizer": {"name": "schedule_free_sgd", "learning_rate": 0.5}},
    "bfloat16": {"train": {"steps": 12, "dtype": "bfloat16", "lsuv": True}},
}


@pytest.mark.parametrize("tables", KINDS.values(), ids=KINDS)
def test_a_run_is_read_back_and_applied_to_raw_inputs(tables, tmp_path, without_data):
    test = digits().test
    result = jaxopt_lab.train(config(**tables), tmp_path / "run", progress=False)
    without_data()
    run = jaxopt_lab.load_run(tmp_path / "run")
    assert run.kept == result.summary["kept"] and run.summary == result.summary
    assert run.step == 12 and config_hash(run.config) == config_hash(config(**tables))
    pairs = ((run.params, result.params), (run.model_state, result.model_state))
    jax.tree.map(np.testing.assert_array_equal, *zip(*pairs, strict=True))
    for name, column in result.history.items():
        np.testing.assert_array_equal(run.history[name], column)
    right = (run.apply(test["x"]).argmax(-1) == test["y"]).mean()
    np.testing.assert_allclose(right, result.test["accuracy"], atol=1e-6)
    floats = run.apply(test["x"][:8] / np.float32(255))
    # Bytes over 255 in float32 both times; bfloat16 keeps 8 bits of it.
    np.testing.assert_allclose(floats, run.apply(test["x"][:8]), rtol=1e-2, atol=1e-3)
    assert run.classes == tuple("0123456789")


def test_a_run_that_was_interrupted_is_read_at_its_newest_checkpoint(tmp_path, without_data):
    free = config(optimizer={"name": "schedule_free_sgd", "learning_rate": 0.5})
    result = jaxopt_lab.train(free, tmp_path / "run", progress=False)
    for path in (tmp_path / "run" / "kept").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="what it kept is gone from"):
        jaxopt_lab.load_run(tmp_path / "run")
    unseal(tmp_path / "run", ["summary.json"])
    (tmp_path / "run" / "summary.json").unlink()
    without_data()
    run = jaxopt_lab.load_run(tmp_path / "run")
    assert (run.kept, run.step, run.summary) == ("last", 12, {})
    # In one program there and alone here: float32 rounding.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        run.params,
        result.params,
    )


class Own(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(10)(x.reshape(len(x), -1))


def test_a_model_of_ones_own_is_given_again(tmp_path):
    result = jaxopt_lab.train(config(), tmp_path / "run", model=Own(), progress=False)
    run = jaxopt_lab.load_run(tmp_path / "run", model=Own())
    jax.tree.map(np.testing.assert_array_equal, run.params, result.params)
    with pytest.raises(InputError, match="belongs to another configuration or model"):
        jaxopt_lab.load_run(tmp_path / "run")


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    jaxopt_lab.train(config(), folder, progress=False)
    return folder


def test_the_signature_says_what_the_data_was(folder):
    signature = json.loads((folder / "signature.json").read_text())
    assert signature["x"] == {"shape": [8, 8, 1], "dtype": "uint8"}
    assert signature["y"] == {"shape": [], "dtype": "int32"}
    assert signature["classes"] == list("0123456789") and signature["samples"] == 512
    assert signature["version"] == jaxopt_lab.__version__
    run = jaxopt_lab.load_run(folder)
    x = jnp.asarray(digits().test["x"][:4])
    (mean,), (std,) = (signature["normalization"][k] for k in ("mean", "std"))
    variables = {"params": run.params, **run.model_state}
    by_hand = run.model.apply(variables, (x / 255.0 - mean) / std, train=False)
    np.testing.assert_allclose(run.apply(x), by_hand, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_read_is_told(folder, tmp_path):
    run = jaxopt_lab.load_run(folder)
    for shape in ((8, 8, 1), (3, 8, 8), (3, 9, 8, 1), ()):
        with pytest.raises(InputError, match=r"expected x of shape \(B, 8, 8, 1\), got"):
            run.apply(np.zeros(shape, np.uint8))
    assert run.apply(np.zeros((0, 8, 8, 1), np.uint8)).shape == (0, 10)
    x = digits().test["x"][:3]
    for same in (x.astype(np.int64), x.tolist(), jnp.asarray(x), x.astype(np.uint16)):
        np.testing.assert_array_equal(run.apply(same), run.apply(x))
    for wrong in (
        x.astype(np.float32),
        x.astype(np.int32) - 1,
        x.astype(np.int32) * 300,
        x * np.nan,
    ):
        with pytest.raises(
            InputError, match=r"must be in \[0, (1|255)\], as the run was trained on"
        ):
            run.apply(wrong)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.toml").touch()
    with pytest.raises(InputError, match="holds no run, but a sweep: there is no"):
        RunFolder(tmp_path / "sweep").require_there()
    with pytest.raises(InputError, match="holds no run: there is no"):
        jaxopt_lab.load_run(tmp_path / "nowhere")
    signature = folder / "signature.json"
    whole = json.loads(signature.read_text())
    try:
        for changes, message in (
            ({"format": 1, "version": "0.0.9"}, "written by jaxopt_lab 0.0.9"),
            ({"x": {"shape": 3}}, "damaged"),
            ({"normalization": {}}, "damaged"),
        ):
            signature.write_text(json.dumps(whole | changes))
            with pytest.raises(InputError, match=message):
                jaxopt_lab.load_run(folder)
        for text in ("[]", "{", ""):
            signature.write_text(text)
            with pytest.raises(InputError, match=r"signature\.json"):
                jaxopt_lab.load_run(folder)
        signature.write_text(json.dumps(whole | {"samples": 500}))
        with pytest.raises(InputError, match=r"signature\.json is not what the run wrote"):
            jaxopt_lab.train(None, folder, resume=True, progress=False)
        seal(folder, {"signature.json": None})
        with pytest.raises(InputError, match="other data: samples is 512, it was 500"):
            jaxopt_lab.train(None, folder, resume=True, progress=False)
        signature.unlink()
        for read in (jaxopt_lab.load_run, lambda f: jaxopt_lab.train(None, f, resume=True)):
            with pytest.raises(InputError, match=r"signature\.json is missing: put it back"):
                read(folder)
        (folder / "seal.json").rename(folder / "aside")  # older versions wrote neither
        with pytest.raises(InputError, match="written by an older version of jaxopt_lab"):
            jaxopt_lab.load_run(folder)
        (folder / "aside").rename(folder / "seal.json")
    finally:
        signature.write_text(json.dumps(whole))
        seal(folder, {"signature.json": None})


def test_a_checkpoint_that_is_saved_meanwhile_is_not_called_damaged(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for step in (1, 2, 3):
        checkpoint.save(tmp_path / "checkpoints", step, {}, config_hash="")
    said = why_this_step(RunFolder(tmp_path), 2, None)
    assert said.startswith("step 2, the newest whole checkpoint; ")
