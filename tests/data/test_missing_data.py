import inspect
import re

import pytest

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError

HOME = {
    "mnist": "http://yann.lecun.com/exdb/mnist/",
    "fashion_mnist": "https://github.com/zalandoresearch/fashion-mnist",
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar.html",
}
LOOKED_FOR = {
    "mnist": ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", ".gz"],
    "fashion_mnist": ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", ".gz"],
    "cifar10": ["cifar-10-binary.tar.gz", "data_batch_1.bin", "test_batch.bin"],
    "cifar100": ["cifar-100-binary.tar.gz", "train.bin", "test.bin"],
}
FOLDER = {
    "mnist": "MNIST/raw",
    "fashion_mnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-bin",
    "cifar100": "cifar-100-binary",
}
NAMES = tuple(HOME)


def refusal(name, *args):
    with pytest.raises(InputError) as caught:
        data.DATASETS[name](*args)
    return str(caught.value)


def assert_tells_where_to_get(message, name):
    assert message.startswith(f"{name}: ")
    assert HOME[name] in message
    assert "--data-dir DIR" in message
    assert "JAXOPT_LAB_DATA" in message
    sums = re.findall(r"^    (\w+)  \S+\.gz$", message, re.MULTILINE)
    assert len(sums) == (4 if "mnist" in name else 1)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in sums)
    assert len(set(sums)) == len(sums)


def test_the_table():
    embedded = ("digits", "diabetes", "breast_cancer")
    own = ("image_folder", "npz", "npy", "table", "huggingface")
    assert set(data.DATASETS) <= {*embedded, *NAMES, *own}
    for name, loader in data.DATASETS.items():
        assert loader is getattr(data, name)
        assert name in data.__all__
        if name in NAMES:
            assert inspect.signature(loader).parameters["data_dir"].default is None


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_archive(tmp_path, name):
    message = refusal(name, tmp_path)
    assert_tells_where_to_get(message, name)
    assert str(tmp_path) in message
    assert FOLDER[name] in message
    for file in LOOKED_FOR[name]:
        assert file in message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, ""])
def test_no_folder_given(monkeypatch, name, value):
    monkeypatch.delenv("JAXOPT_LAB_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("JAXOPT_LAB_DATA", value)
    message = refusal(name)
    assert_tells_where_to_get(message, name)
    assert "no data folder is given" in message


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_variable_is_read_at_the_call(monkeypatch, tmp_path, name):
    monkeypatch.setenv("JAXOPT_LAB_DATA", str(tmp_path / "first"))
    message = refusal(name)
    assert "JAXOPT_LAB_DATA must be an existing folder" in message
    assert str(tmp_path / "first") in message
    (tmp_path / "second").mkdir()
    monkeypatch.setenv("JAXOPT_LAB_DATA", str(tmp_path / "second"))
    assert str(tmp_path / "second") in refusal(name)
    # An argument goes before the variable.
    assert str(tmp_path / "second") not in refusal(name, tmp_path / "first")


@pytest.mark.parametrize("name", NAMES)
def test_no_such_folder(tmp_path, name):
    file = tmp_path / "a file"
    file.write_text("")
    for path, found in ((tmp_path / "nowhere", "nothing"), (file, "a file")):
        message = refusal(name, path)
        assert f"must be an existing folder, found {found} at {path}" in message
        assert_tells_where_to_get(message, name)


@pytest.mark.parametrize("value", [5, b"bytes", ["a"]])
def test_no_path_at_all(value):
    assert "must be the path of a folder" in refusal("cifar10", value)


def test_an_incomplete_folder_is_named(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i in range(1, 6):
        (folder / f"data_batch_{i}.bin").write_bytes(bytes(3073))
    assert f"{folder} lacks: test_batch.bin" in refusal("cifar10", tmp_path)
