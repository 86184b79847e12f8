import builtins
import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError

NAMES = {
    ("train", "x"): "train-images-idx3-ubyte",
    ("train", "y"): "train-labels-idx1-ubyte",
    ("test", "x"): "t10k-images-idx3-ubyte",
    ("test", "y"): "t10k-labels-idx1-ubyte",
}
LOADERS = (data.mnist, data.fashion_mnist)


def idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def arrays(train=100, test=20, seed=0):
    rng = np.random.default_rng(seed)
    return {
        (split, kind): rng.integers(0, high, (count, *shape), dtype=np.uint8)
        for split, count in (("train", train), ("test", test))
        for kind, high, shape in (("x", 256, (28, 28)), ("y", 10, ()))
    }


def write(folder, content, end="", rename=lambda name: name):
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in content.items():
        raw = idx(array)
        (folder / (rename(NAMES[part]) + end)).write_bytes(gzip.compress(raw) if end else raw)
    return folder


def assert_holds(dataset, content):
    for split in ("train", "test"):
        got = getattr(dataset, split)
        assert got.keys() == {"x", "y"}
        assert got["x"].dtype == np.uint8
        assert got["y"].dtype == np.int32
        assert got["x"].flags.c_contiguous
        np.testing.assert_array_equal(got["x"], content[split, "x"][..., None])
        np.testing.assert_array_equal(got["y"], content[split, "y"])
    assert len(dataset.classes) == 10


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_round_trip(tmp_path, loader, end, dotted):
    content = arrays()
    rename = (lambda name: name.replace("-idx", ".idx")) if dotted else (lambda name: name)
    write(tmp_path, content, end, rename)
    assert_holds(loader(tmp_path), content)
    assert_holds(loader(str(tmp_path)), content)


@pytest.mark.parametrize(
    ("loader", "folder"),
    [(data.mnist, name) for name in ("mnist", "MNIST", "MNIST/raw", "raw")]
    + [
        (data.fashion_mnist, name)
        for name in ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw", "data/fashion")
    ],
)
def test_folders_below_the_data_folder(tmp_path, loader, folder):
    content = arrays()
    write(tmp_path / folder, content)
    assert_holds(loader(tmp_path), content)


def test_a_folder_of_the_sets_own_name_comes_first(tmp_path):
    there, own = arrays(seed=1), arrays(seed=2)
    write(tmp_path, there)
    write(tmp_path / "fashion-mnist", own)
    assert_holds(data.mnist(tmp_path), there)
    assert_holds(data.fashion_mnist(tmp_path), own)


def test_the_files_of_two_folders_are_not_mixed(tmp_path):
    content = arrays()
    write(tmp_path, {part: content[part] for part in list(content)[:2]})
    write(tmp_path / "mnist", {part: content[part] for part in list(content)[2:]})
    with pytest.raises(InputError, match="lacks: train-images-idx3-ubyte, train-labels"):
        data.mnist(tmp_path)


def test_a_folder_beside_the_file_of_that_name(tmp_path):
    """One distributor unpacks each file into a folder of its name, beside the dotted files."""
    content = arrays()
    write(tmp_path, content, rename=lambda name: name.replace("-idx", ".idx"))
    (tmp_path / NAMES["train", "x"]).mkdir()
    assert_holds(data.mnist(tmp_path), content)


def test_gzip_is_known_by_its_first_bytes(tmp_path):
    content = arrays()
    write(tmp_path, content, ".gz")
    path = tmp_path / (NAMES["train", "x"] + ".gz")
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert_holds(data.mnist(tmp_path), content)


@pytest.mark.parametrize(
    ("right", "wrong", "step"),
    [(data.fashion_mnist, data.mnist, 0), (data.mnist, data.fashion_mnist, 1)],
)
def test_the_other_set_under_the_same_file_names(tmp_path, right, wrong, step):
    """60,000 labels: Fashion-MNIST has 6,000 of each class and MNIST has not."""
    content = arrays(test=2)
    labels = np.arange(60_000) % 10
    labels[0] += step
    content["train", "y"] = labels
    content["train", "x"] = np.zeros((60_000, 28, 28), np.uint8)
    write(tmp_path, content)
    assert len(right(tmp_path).train["y"]) == 60_000
    with pytest.raises(InputError, match="folder of its own"):
        wrong(tmp_path)


def set_size(raw, index, size):
    raw[4 + 4 * index : 8 + 4 * index] = struct.pack(">I", size)
    return raw


REFUSED = {
    "empty": (("train", "x"), lambda raw: b"", "is empty"),
    "magic only": (("train", "x"), lambda raw: raw[:4], "cut short"),
    "header cut": (("train", "x"), lambda raw: raw[:10], "cut short"),
    "data cut": (("train", "x"), lambda raw: raw[:-1], "expected 78,400 bytes of data"),
    "longer": (("train", "x"), lambda raw: raw + b"\0", "longer than"),
    "labels for images": (("train", "x"), lambda raw: idx(np.zeros(9)), "0x00000801"),
    "images for labels": (
        ("test", "y"),
        lambda raw: idx(np.zeros((9, 28, 28))),
        "must start with 0x00000801",
    ),
    "floats": (("train", "x"), lambda raw: raw[:2] + b"\x0d" + raw[3:], "0x00000d03"),
    "text": (("train", "y"), lambda raw: b"<html>not found</html>", "must start with"),
    "four billion": (
        ("train", "x"),
        lambda raw: set_size(bytearray(raw), 0, 2**32 - 1),
        "4294967295",
    ),
    "four billion labels": (
        ("test", "y"),
        lambda raw: set_size(bytearray(raw), 0, 2**32 - 1),
        "4294967295",
    ),
    "more than published": (
        ("train", "x"),
        lambda raw: set_size(bytearray(raw), 0, 60_001),
        "60001",
    ),
    "wide": (("train", "x"), lambda raw: set_size(bytearray(raw), 1, 2**31), "2147483648"),
    "none": (("train", "x"), lambda raw: idx(np.zeros((0, 28, 28))), r"\(0, 28, 28\)"),
    "label ten": (("train", "y"), lambda raw: raw[:-1] + b"\x0a", "holds the label 10"),
    "fewer labels": (("test", "y"), lambda raw: idx(np.zeros(19)), "20 images, but 19 labels"),
}


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case, end):
    part, change, message = REFUSED[case]
    write(tmp_path, arrays(), end)
    path = tmp_path / (NAMES[part] + end)
    raw = bytes(change(gzip.decompress(path.read_bytes()) if end else path.read_bytes()))
    path.write_bytes(gzip.compress(raw) if end else raw)
    with pytest.raises(InputError, match=message) as caught:
        data.mnist(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[: len(raw) // 2], "cut short"),
        (lambda raw: raw[:-4], "cut short"),
        (lambda raw: raw[:3], "cut short"),
        (lambda raw: raw[:2] + b"\xff" + raw[3:], "damaged"),
        (lambda raw: raw[:-8] + bytes(4) + raw[-4:], "damaged"),
        (lambda raw: raw[:2000] + bytes(100) + raw[2100:], "damaged"),
        (lambda raw: raw + b"trailing", "damaged"),
    ],
)
def test_damaged_gzip_is_refused(tmp_path, change, message):
    write(tmp_path, arrays(), ".gz")
    path = tmp_path / (NAMES["train", "x"] + ".gz")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        data.mnist(tmp_path)


def peak_of_refusal(loader, folder):
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            loader(folder)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_is_refused_without_memory(tmp_path):
    """4 MB of gzip that expand to 4 GiB, behind an honest header of 100 images."""
    content = arrays()
    write(tmp_path, content, ".gz")
    path = tmp_path / (NAMES["train", "x"] + ".gz")
    zeros = gzip.compress(bytes(1 << 26), 9)
    path.write_bytes(gzip.compress(idx(content["train", "x"])) + zeros * 64)
    assert path.stat().st_size < 5 << 20
    assert peak_of_refusal(data.mnist, tmp_path) < 1 << 20


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_false_header_is_given_no_memory(tmp_path, end):
    write(tmp_path, arrays(), end)
    raw = struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 28, 28)
    path = tmp_path / (NAMES["train", "x"] + end)
    path.write_bytes(gzip.compress(raw) if end else raw)
    assert peak_of_refusal(data.mnist, tmp_path) < 1 << 20


def test_a_folder_where_a_file_is_expected(tmp_path):
    write(tmp_path, arrays())
    path = tmp_path / NAMES["train", "y"]
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="found a folder"):
        data.mnist(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    write(tmp_path, arrays())
    real = builtins.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith(NAMES["test", "x"]):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(InputError, match=r"t10k-images.*Permission denied"):
        data.mnist(tmp_path)
