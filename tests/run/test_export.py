"""A network leaves: its weights by name to the bit, and itself as a program for jax alone."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import venv

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

import jaxopt_lab
from jaxopt_lab.cli import main
from jaxopt_lab.config.dump import config_hash
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.start import load_start, named_arrays
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.safetensors import read_metadata, read_safetensors, write_safetensors
from jaxopt_lab.data import digits

DATA = {"name": "digits", "batch_size": 32, "train_size": 64, "validation": 0.1}
BASE = {
    "data": DATA,
    "model": {"name": "mlp", "hidden": [8], "norm": "batch", "dropout": 0.3},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"steps": 3, "evaluation_batch_size": 100},
}


class Own(nn.Module):
    """Of bfloat16 parameters, one of them transposed."""

    @nn.compact
    def __call__(self, x, *, train=False):
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (64, 10), jnp.bfloat16)
        scale = self.param("scale", nn.initializers.ones, (10,), jnp.float32)
        return (x.reshape(x.shape[0], -1) @ kernel.astype(x.dtype)) * scale[None]


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    jaxopt_lab.train(parse_config(BASE), folder, progress=False)
    return jaxopt_lab.load_run(folder)


@pytest.fixture(scope="module", name="own")
def _own():
    return jaxopt_lab.train(parse_config(BASE), model=Own(), progress=False).run


def variables(run):
    return named_arrays({"params": run.params, **run.model_state})


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        array = np.asarray(array)
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        assert np.asarray(found[name]).tobytes() == array.tobytes()


def test_safetensors_are_those_of_the_library_and_begin_another_run(run, own, tmp_path):
    path = jaxopt_lab.export(run, "safetensors")
    assert path == run.path / "export" / "model.safetensors"
    same(safetensors.numpy.load_file(path), variables(run))
    with safetensors.safe_open(path, "np") as file:
        card = json.loads(file.metadata()["jaxopt_lab"])
    assert card["classes"] == list("0123456789") and card["kept"] == "last" and card["step"] == 3
    assert card["config_hash"] == config_hash(run.config)
    assert card["normalization"]["mean"] == run.signature.mean.tolist()
    assert card["input"] == {"shape": [None, 8, 8, 1], "dtype": "uint8"}
    assert card["output"] == {"shape": [None, 10], "response": "softmax"}
    start = parse_config(BASE | {"start": {"from": str(path)}}).start
    fresh = run.experiment.init(jax.random.key(5))
    begun = {"params": fresh.params, **fresh.model_state}
    same(named_arrays(load_start(start).put_in(begun)), variables(run))
    other = jaxopt_lab.export(own, "safetensors", tmp_path / "own.safetensors")
    found = read_safetensors(other)
    assert found["kernel"].dtype == jnp.bfloat16
    same(found, variables(own))


DTYPES = ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "bfloat16"]


@pytest.mark.parametrize("dtype", [*DTYPES, "float8_e4m3fn"])
def test_every_dtype_and_order_is_written(dtype, tmp_path):
    values = (np.arange(24) % 7).astype(jnp.dtype(dtype)).reshape(4, 6)
    arrays = {
        "plain": values,
        "fortran": np.asfortranarray(values),
        "transposed": values.T,
        "strided": values[::2, ::3],
        "none": values[:0],
        "scalar": values[1, 1],
        'a "name", é': values.astype(np.float32),
    }
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    write_safetensors(tmp_path / "a.safetensors", arrays, {"text": 'é "\n'})
    same(read_safetensors(tmp_path / "a.safetensors"), arrays)
    assert read_metadata(tmp_path / "a.safetensors") == {"text": 'é "\n'}
    with safetensors.safe_open(tmp_path / "a.safetensors", "np") as file:
        assert set(file.keys()) == set(arrays)
        if dtype in DTYPES[:-1]:
            same({name: file.get_tensor(name) for name in arrays}, arrays)
    with pytest.raises(InputError, match="'c' is complex64, the format has"):
        write_safetensors(tmp_path / "c", {"c": np.zeros(3, np.complex64)}, {})
    assert not (tmp_path / "c").exists()


def test_npz_and_orbax(run, own, tmp_path):
    with np.load(jaxopt_lab.export(run, "npz"), allow_pickle=False) as file:
        found = dict(file)
    assert json.loads(str(found.pop("__metadata__")))["classes"] == list("0123456789")
    same(found, variables(run))
    with np.load(jaxopt_lab.export(own, "npz", tmp_path / "own.npz")) as file:
        kernel = np.asarray(own.params["kernel"], np.float32)
        np.testing.assert_array_equal(file["kernel"], kernel)
    import orbax.checkpoint as ocp

    path = jaxopt_lab.export(run, "orbax")
    with ocp.StandardCheckpointer() as checkpointer:
        back = checkpointer.restore(path.resolve())
    x = (digits().test["x"] / 255 - run.signature.mean) / run.signature.std
    by_hand = run.model.apply(back, jnp.float32(x), train=False)
    np.testing.assert_allclose(by_hand, run.apply(digits().test["x"]), rtol=1e-4, atol=1e-5)
    assert json.loads(path.with_name("model.orbax.json").read_text())["kept"] == "last"
    path = jaxopt_lab.export(own, "orbax", tmp_path / "own")
    with ocp.StandardCheckpointer() as checkpointer:
        assert checkpointer.restore(path.resolve())["params"]["kernel"].dtype == jnp.bfloat16


def call(path, x):
    return np.asarray(jax.export.deserialize(bytearray(path.read_bytes())).call(x), np.float32)


def check_program(network, path, x):
    path = jaxopt_lab.export(network, "stablehlo", path)
    for rows in (1, 7, 64):
        wanted = np.asarray(network.apply(x[:rows]), np.float32)
        np.testing.assert_array_equal(call(path, x[:rows]), wanted)
    np.testing.assert_array_equal(call(path, x[:64]), call(path, x[:64]))
    np.testing.assert_allclose(call(path, x[:1]), call(path, x[:64])[:1], rtol=1e-5, atol=1e-5)
    return path


def test_a_program_is_the_network_to_the_bit_at_every_batch_size(run, tmp_path):
    path = check_program(run, None, digits().test["x"])
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu") and path.name == "model.stablehlo"
    assert program.in_avals[0].str_short().startswith("uint8[batch,8,8,1]")
    assert json.loads(path.with_name("model.stablehlo.json").read_text())["classes"][9] == "9"


MODELS = {
    "cnn": {"name": "cnn"},
    "resnet": {"name": "resnet", "depth": 8},
    "wide": {"name": "wide_resnet", "depth": 10, "width": 1},
    "standard": {"name": "cnn", "norm": "group", "weight_standardization": "standard"},
    "linear": {"name": "linear"},
    "plain": {"name": "plain", "depth": 20},
}


@pytest.mark.slow
@pytest.mark.usefixtures("fully_optimized")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_a_program(model, dtype, tmp_path):
    tables = {"model": MODELS[model], "train": BASE["train"] | {"dtype": dtype}}
    run = jaxopt_lab.train(parse_config(BASE | tables), progress=False).run
    x, path = digits().test["x"], tmp_path / "program"
    jaxopt_lab.export(run, "stablehlo", path)
    for rows in (1, 7, 64):
        wanted = np.asarray(run.apply(x[:rows]), np.float32)
        np.testing.assert_array_equal(call(path, x[:rows]), wanted)


def test_members_ensembles_and_numbers(tmp_path):
    plan = parse_sweep(BASE | {"sweep": {"seeds": 2}}, source="sweep")
    result = jaxopt_lab.sweep(plan, tmp_path / "sweep", progress=False)
    path = jaxopt_lab.export(result.run(1), "npz")
    assert path == tmp_path / "sweep" / "export" / "member-1.npz"
    with pytest.raises(InputError, match="of an ensemble are those of its runs"):
        jaxopt_lab.export(result.ensemble(), "safetensors", tmp_path / "a")
    with pytest.raises(InputError, match="no folder of its own: give output"):
        jaxopt_lab.export(result.ensemble(), "stablehlo")
    x = digits().test["x"][:7]
    path = jaxopt_lab.export(result.ensemble(), "stablehlo", tmp_path / "both")
    np.testing.assert_allclose(call(path, x), result.ensemble().apply(x), rtol=1e-6, atol=1e-6)
    numbers = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    data = (numbers, numbers[:, 0], numbers, numbers[:, 0])
    tables = BASE | {"data": {"name": "digits", "batch_size": 8}}
    run = jaxopt_lab.train(parse_config(tables), data=data, progress=False).run
    path = jaxopt_lab.export(run, "stablehlo", tmp_path / "numbers")
    np.testing.assert_array_equal(call(path, numbers), run.apply(numbers))
    card = json.loads((tmp_path / "numbers.json").read_text())
    assert (
        card["input"] == {"shape": [None, 5], "dtype": "float32"} and card["targets"] == "numbers"
    )


class OfLength(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(10)(x.reshape(len(x), -1) / float(len(x)))


def test_what_cannot_be_exported_is_told(run, tmp_path, capsys, monkeypatch):
    with pytest.raises(InputError, match="safetensors, npz, orbax, stablehlo, got 'stablehl', did"):
        jaxopt_lab.export(run, "stablehl")
    target = tmp_path / "a.npz"
    command = ["export", str(run.path), "--to", "npz", "--output", str(target)]
    assert main(command) == 0 and f"wrote {target}" in capsys.readouterr().out
    assert main(command) == 2 and "give another --output, or --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert main(["export", str(tmp_path), "--to", "npz"]) == 2
    with pytest.raises(InputError, match="is a folder"):
        jaxopt_lab.export(run, "npz", tmp_path, force=True)
    with pytest.raises(InputError, match="cannot be a folder"):
        jaxopt_lab.export(run, "npz", target / "b")
    result = jaxopt_lab.train(parse_config(BASE), model=OfLength(), progress=False)
    with pytest.raises(InputError, match=r"write x\.shape\[0\] and not len\(x\)"):
        jaxopt_lab.export(result, "stablehlo", tmp_path / "program")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "jaxopt_lab\[export\]"'):
        jaxopt_lab.export(run, "stablehlo", tmp_path / "program")


LINES = """
import jax.export
import numpy as np

program = jax.export.deserialize(bytearray(np.fromfile("model.stablehlo", np.uint8)))
print(np.asarray(program.call(np.load("images.npy"))).argmax(-1))
"""


@pytest.mark.slow
def test_five_lines_need_jax_and_flatbuffers_alone(run, tmp_path):
    """In an environment of their own; bits are compared with those of a process like it."""
    jaxopt_lab.export(run, "stablehlo", tmp_path / "model.stablehlo")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    names = ("jax", "jaxlib", "numpy", "flatbuffers")
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in names]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    clean = {k: v for k, v in os.environ.items() if not re.match("JAX|XLA|PYTHONPATH", k)}
    found = subprocess.run(
        [python, "-m", "pip", "list"], capture_output=True, text=True, check=True
    )
    assert "flax" not in found.stdout and "jaxopt" not in found.stdout
    assert len([line for line in LINES.splitlines() if line]) <= 5
    own = "import sys, numpy, jaxopt_lab; r = jaxopt_lab.load_run(sys.argv[1]);"
    own += "numpy.save('own.npy', r.apply(numpy.load('images.npy')))"
    there = clean | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    for rows in (1, 7, 64, 360):
        np.save(tmp_path / "images.npy", digits().test["x"][:rows])
        lines = f"{LINES}np.save('found.npy', program.call(np.load('images.npy')))"
        how = {"cwd": tmp_path, "check": True}
        subprocess.run([python, "-c", lines], env=clean, **how)
        subprocess.run([sys.executable, "-c", own, run.path], env=there, **how)
        own_outputs = np.load(tmp_path / "own.npy")[:rows]
        np.testing.assert_allclose(
            np.load(tmp_path / "found.npy"), own_outputs, rtol=1e-5, atol=1e-5
        )
        if rows <= run.config.train.evaluation_batch_size:
            np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), own_outputs)
