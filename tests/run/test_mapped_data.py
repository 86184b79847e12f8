"""Data that stays on the disk: read a batch at a time, with the numbers of data in memory."""

import json
import subprocess
import sys
import tomllib

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab import data
from jaxopt_lab.config.build import build
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import is_lazy
from jaxopt_lab.data import npy_format, splitting
from jaxopt_lab.engine import channel_statistics

CONFIG = """
[data]
name = "npz"
path = "digits.npz"
batch_size = 16
validation = 0.2
[model]
name = "mlp"
hidden = [8]
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
steps = 8
evaluate_every = 4
steps_per_dispatch = 1
"""


@pytest.fixture(name="home")
def _home(tmp_path, monkeypatch):
    digits = data.digits().train
    np.savez(tmp_path / "digits.npz", x=digits["x"][:200], y=digits["y"][:200])
    (tmp_path / "own.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(name="mapped")
def _mapped(monkeypatch):
    def mapped():
        monkeypatch.setattr(npy_format, "IN_MEMORY", 0)
        monkeypatch.setattr(splitting, "IN_MEMORY", 1500)

    return mapped


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_statistics_of_pieces_are_those_of_the_whole(tmp_path, monkeypatch, dtype):
    x = np.random.default_rng(0).integers(0, 256, (300, 4, 3, 2)).astype(dtype)
    x = x if dtype == "uint8" else x + 1000
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr("jaxopt_lab.core.rows._CHUNK_BYTES", 5000)
    unit = x.astype(np.float64).reshape(-1, 2) / (255 if dtype == "uint8" else 1)
    for values in (x, np.load(tmp_path / "x.npy", mmap_mode="r")):
        mean, std = channel_statistics(values)
        assert mean.dtype == std.dtype == np.float32
        np.testing.assert_allclose(mean, unit.mean(0), rtol=1e-6)
        np.testing.assert_allclose(std, unit.std(0), rtol=1e-6)


def test_a_run_on_mapped_data_is_that_on_data_in_memory(home, mapped):
    config = jaxopt_lab.load_config("own.toml")
    plain = jaxopt_lab.train(config, progress=False)
    mapped()
    source = read(config)
    for part in (source.train, source.validation, source.test, source.train_sample):
        assert is_lazy(part["x"]) and not is_lazy(part["y"])
    lazy = jaxopt_lab.train(config, home / "run", progress=False)
    for name, column in plain.history.items():
        np.testing.assert_allclose(lazy.history[name], column, rtol=2e-4, err_msg=name)
    assert lazy.test["accuracy"] == pytest.approx(plain.test["accuracy"])


def test_what_needs_all_of_it_says_so(home, mapped):

    mapped()
    with pytest.raises(InputError, match=r"data\.reconstruct: needs samples in memory"):
        build(jaxopt_lab.load_config("own.toml", ["data.reconstruct=true"]))
    tables = tomllib.loads(CONFIG.replace("digits.npz", str(home / "digits.npz")))
    plan = parse_sweep({**tables, "sweep": {"seeds": 2}})
    with pytest.raises(InputError, match=r"a sweep holds its data on the device; x, .*train_size"):
        jaxopt_lab.sweep(plan, progress=False)
    small = jaxopt_lab.load_config("own.toml", ["data.train_size=20"])
    assert not is_lazy(read(small).train["x"])


ROWS, SIDE = 700_000, 32  # 2.15 GB as bytes
SPARSE = f"""
import io, sys, zipfile, numpy as np
from numpy.lib import format as npy

class Sparse(io.FileIO):
    "A file whose zeros take no place on the disk."
    def write(self, content):
        view = memoryview(content).cast("B")
        if len(view) > 4096 and not any(view[:64]):
            self.seek(len(view), 1)
            return len(view)
        return super().write(content)

with Sparse(sys.argv[1], "w") as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
    with archive.open("x.npy", "w", force_zip64=True) as member:
        fields = {{"descr": "|u1", "fortran_order": False, "shape": ({ROWS}, {SIDE}, {SIDE}, 3)}}
        npy.write_array_header_1_0(member, fields)
        zeros = bytes({SIDE} * {SIDE} * 3 * 1000)
        for _ in range({ROWS} // 1000):
            member.write(zeros)
    with archive.open("y.npy", "w") as member:
        npy.write_array(member, np.arange({ROWS}) % 10)
"""
TRAIN = """
import json, sys
import jaxopt_lab

def peak():
    "Of memory that is the process's own or mapped, in bytes."
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmHWM"].split()[0]) * 1024

before = peak()
config = jaxopt_lab.load_config("own.toml", ["data.path='big.npz'", "train.steps=6",
    "train.evaluate_every=6", "data.validation=0.001", "data.test=0.001"])
result = jaxopt_lab.train(config, progress=False)
print(json.dumps({"before": before, "after": peak(), "loss": result.test["loss"]}))
"""


@pytest.mark.slow
def test_two_gigabytes_train_in_a_fraction_of_that(home):
    subprocess.run([sys.executable, "-c", SPARSE, "big.npz"], check=True)
    size = (home / "big.npz").stat().st_size
    assert size > 2e9
    found = subprocess.run(
        [sys.executable, "-c", TRAIN], check=True, capture_output=True, text=True
    )
    numbers = json.loads(found.stdout.splitlines()[-1])
    assert np.isfinite(numbers["loss"])
    assert numbers["after"] < size / 3, numbers
