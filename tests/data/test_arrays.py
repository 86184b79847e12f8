"""Own arrays in .npz and .npy files: what comes in is what was saved, and each fault is told."""

import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import is_lazy
from jaxopt_lab.data import npy_format

DRAWS = np.random.default_rng(0)
IMAGES = DRAWS.integers(0, 256, (12, 5, 4, 3)).astype(np.uint8)
FLOATS = DRAWS.normal(size=(12, 7)).astype(np.float32)
CLASSES = np.array([0, 1, 2] * 4)


def saved(kind, folder, **arrays):
    """The data set of arrays, by way of a file of this kind."""
    if kind == "npy":
        paths = {name: str(folder / f"{name}.npy") for name in arrays}
        for name, path in paths.items():
            np.save(path, arrays[name])
        return data.npy(**paths)
    {"npz": np.savez, "compressed": np.savez_compressed}[kind](folder / "a.npz", **arrays)
    return data.npz(str(folder / "a.npz"))


KINDS = ("npz", "compressed", "npy")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("large", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize(
    "x", [IMAGES, FLOATS, FLOATS.astype(np.float16)], ids=["uint8", "float32", "float16"]
)
def test_what_is_saved_comes_in(tmp_path, monkeypatch, kind, large, x):
    monkeypatch.setattr(npy_format, "IN_MEMORY", 0 if large else 1 << 30)
    found = saved(kind, tmp_path, x=x, y=CLASSES, x_test=x[:5], y_test=CLASSES[:5])
    assert is_lazy(found.train["x"]) == (large and kind != "compressed")
    for split, count in ((found.train, 12), (found.test, 5)):
        np.testing.assert_array_equal(split["x"], x[:count])
        assert split["x"].dtype == x.dtype
        np.testing.assert_array_equal(split["y"], CLASSES[:count])
        assert split["y"].dtype == np.int32
    assert found.classes == ("0", "1", "2")
    assert found.notes == ()


@pytest.mark.parametrize("large", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("dtype", [">f4", "f8", "i8", "u2", "bool", "i1"])
def test_other_numbers_become_float32(tmp_path, monkeypatch, large, dtype):
    monkeypatch.setattr(npy_format, "IN_MEMORY", 0 if large else 1 << 30)
    x = DRAWS.integers(-100, 100, (12, 3)).astype(dtype)
    found = saved("npz", tmp_path, x=x, y=CLASSES)
    assert found.train["x"].dtype == np.float32
    np.testing.assert_array_equal(found.train["x"][...], x.astype(np.float32))
    assert bool(found.notes) == (np.dtype(dtype).kind != "f")
    assert found.test is None


@pytest.mark.parametrize(
    ("y", "targets", "classes", "expected"),
    [
        (CLASSES.astype(np.uint8), "classes", ("0", "1", "2"), CLASSES),
        (CLASSES * 5 - 5, "classes", ("-5", "0", "5"), CLASSES),
        (CLASSES % 2 == 1, "classes", ("false", "true"), CLASSES % 2),
        (
            np.array(["c2", "c10", "c1"])[CLASSES],
            "classes",
            ("c1", "c2", "c10"),
            np.array([1, 2, 0])[CLASSES],
        ),
        (np.array([b"b", b"a", b"c"])[CLASSES], "classes", ("a", "b", "c"), None),
        (np.eye(3, dtype=int)[CLASSES], "labels", ("0", "1", "2"), np.eye(3)[CLASSES]),
        (np.eye(3)[CLASSES] > 0, "labels", ("0", "1", "2"), np.eye(3)[CLASSES]),
        (FLOATS[:, 0].astype(float), "numbers", (), FLOATS[:, 0]),
        (FLOATS[:, :2], "numbers", (), FLOATS[:, :2]),
    ],
)
def test_the_dtype_of_y_says_what_it_is(tmp_path, y, targets, classes, expected):
    found = saved("npz", tmp_path, x=FLOATS, y=y)
    assert data.targets_of(found) == data.targets_of(replace(found, targets=None)) == targets
    assert found.classes == classes
    assert found.train["y"].dtype == (np.float32 if targets == "numbers" else np.int32)
    if expected is not None:
        np.testing.assert_array_equal(found.train["y"], expected)


def test_names_weights_and_groups(tmp_path):
    weight, group = np.arange(12.0), np.array(list("aabbccddeeff"))
    names = np.array(["cat", "dog", "eel", "fox"])
    found = saved("npz", tmp_path, x=FLOATS, y=CLASSES, weight=weight, group=group, classes=names)
    assert found.classes == tuple(names)
    np.testing.assert_array_equal(found.train["weight"], weight.astype(np.float32))
    np.testing.assert_array_equal(found.train["group"], group)


def test_gray_images_get_a_channel_and_it_is_said(tmp_path):
    found = saved("npy", tmp_path, x=IMAGES[..., 0], y=CLASSES)
    np.testing.assert_array_equal(found.train["x"], IMAGES[..., :1])
    assert "a channel is added" in found.notes[0]


def test_the_fingerprint_is_of_the_contents_alone(tmp_path):
    found = []
    for place, values in (("a", FLOATS), ("b", FLOATS), ("c", FLOATS + 1)):
        (tmp_path / place).mkdir()
        found.append(saved("npz", tmp_path / place, x=values, y=CLASSES).fingerprint)
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 64


WRONG = {
    "no x": ({"z": FLOATS, "y": CLASSES}, "there is no x"),
    "unknown": ({"x": FLOATS, "y": CLASSES, "wieght": FLOATS}, "did you mean 'weight'"),
    "half a test": ({"x": FLOATS, "y": CLASSES, "x_test": FLOATS}, "no y_test"),
    "lengths": ({"x": FLOATS, "y": CLASSES[:11]}, "12 rows of x and 11 of y"),
    "test lengths": (
        {"x": FLOATS, "y": CLASSES, "x_test": FLOATS, "y_test": CLASSES[:3]},
        "12 rows of x_test and 3 of y_test",
    ),
    "another shape": (
        {"x": FLOATS, "y": CLASSES, "x_test": FLOATS[:, :3], "y_test": CLASSES},
        "must be alike",
    ),
    "class of the test alone": (
        {"x": FLOATS, "y": CLASSES, "x_test": FLOATS, "y_test": CLASSES + 1},
        "y_test has the class '3', at row 2",
    ),
    "Fortran": ({"x": np.asfortranarray(FLOATS), "y": CLASSES}, "ascontiguousarray"),
    "no rows": ({"x": FLOATS[:0], "y": CLASSES[:0]}, "holds no rows"),
    "complex": ({"x": FLOATS + 1j, "y": CLASSES}, "complex numbers"),
    "dates": ({"x": np.zeros((12, 2), "M8[s]"), "y": CLASSES}, "dates"),
    "text": ({"x": FLOATS.astype(str), "y": CLASSES}, "holds text"),
    "NaN in y": ({"x": FLOATS, "y": np.where(CLASSES == 1, np.nan, 1.0)}, "nan at row 1"),
    "infinite y": ({"x": FLOATS, "y": np.where(CLASSES == 2, np.inf, 1.0)}, "inf at row 2"),
    "one class": ({"x": FLOATS, "y": CLASSES * 0 + 4}, "one class only, '4'"),
    "no labels": ({"x": FLOATS, "y": np.stack([CLASSES] * 2, 1)}, "holds 2 in 2 columns"),
    "numbers as whole": (
        {"x": np.zeros((40, 1)), "y": np.arange(40)},
        "40 distinct values in 40 rows, too many",
    ),
    "out of range": (
        {"x": FLOATS, "y": CLASSES, "classes": np.array(["a", "b"])},
        "y holds 2 at row 2, expected 0 to 1",
    ),
    "negative": (
        {"x": FLOATS, "y": CLASSES - 1, "classes": np.array(["a", "b", "c"])},
        "y holds -1 at row 0",
    ),
    "names twice": ({"x": FLOATS, "y": CLASSES, "classes": np.array(["a", "a"])}, "'a' twice"),
    "names of numbers": (
        {"x": FLOATS, "y": FLOATS[:, 0], "classes": np.array(["a"])},
        "classes names",
    ),
    "weight": ({"x": FLOATS, "y": CLASSES, "weight": -np.ones(12)}, "got -1 at row 0"),
    "no weight": ({"x": FLOATS, "y": CLASSES, "weight": np.zeros(12)}, "is 0 in every row"),
    "group": ({"x": FLOATS, "y": CLASSES, "group": FLOATS[:, 0]}, "group must be"),
    "scalar": ({"x": FLOATS, "y": np.array(3)}, "y is one value"),
}


# Of the names of its arguments Python itself takes care.
OF_NPY = [name for name in WRONG if name not in ("no x", "unknown")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("npz", name) for name in WRONG), *(("npy", name) for name in OF_NPY)],
)
def test_each_fault_is_one_clear_error(tmp_path, kind, name):
    arrays, text = WRONG[name]
    with pytest.raises(InputError) as caught:
        saved(kind, tmp_path, **arrays)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


class Hostile:
    def __reduce__(self):
        return (print, ("executed",))


def test_nothing_pickled_is_read(tmp_path, capsys):
    objects = np.array([Hostile()] * 12, object)
    np.savez(tmp_path / "a.npz", x=FLOATS, y=objects)
    with pytest.raises(InputError, match=r"y: holds Python objects"):
        data.npz(str(tmp_path / "a.npz"))
    (tmp_path / "x.npy").write_bytes(pickle.dumps(objects))
    np.save(tmp_path / "y.npy", CLASSES)
    with pytest.raises(InputError, match="no array of NumPy"):
        data.npy(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("large", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("kind", ["npz", "compressed", "npy"])
@pytest.mark.parametrize("how", ["cut", "empty", "another", "header"])
def test_damaged_files(tmp_path, monkeypatch, large, kind, how):
    monkeypatch.setattr(npy_format, "IN_MEMORY", 0 if large else 1 << 30)
    saved(kind, tmp_path, x=FLOATS, y=CLASSES)
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        wrong = content.replace(b"(12, 7)", b"(99, 9)")  # where it is not compressed
        path.write_bytes(
            {
                "cut": content[: len(content) // 2],
                "empty": b"",
                "another": b"no such format",
                "header": wrong if wrong != content else content[:-40],
            }[how]
        )
    load = data.npy if kind == "npy" else data.npz
    names = ("x.npy", "y.npy") if kind == "npy" else ("a.npz",)
    with pytest.raises(InputError):
        load(*(str(tmp_path / name) for name in names))


def test_a_compressed_member_beyond_the_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((500, 100)), y=np.arange(500) % 2)
    monkeypatch.setattr("jaxopt_lab.core.memory.machine_memory", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"a\.npz: x: compressed, .*numpy\.savez"):
        data.npz(str(tmp_path / "a.npz"))


def test_no_such_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        data.npz(str(tmp_path / "none.npz"))
    with pytest.raises(InputError, match="a folder"):
        data.npz(str(tmp_path))


def test_a_member_that_lies_about_its_size(tmp_path):
    """A header that claims terabytes is refused before memory is asked for."""
    np.savez(tmp_path / "a.npz", x=FLOATS, y=CLASSES)
    header = npy_format.npy
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive, archive.open("x.npy", "w") as member:
        fields = {"descr": "<f4", "fortran_order": False, "shape": (10**15, 10**9)}
        header.write_array_header_1_0(member, fields)
    with pytest.raises(InputError, match="damaged: shape"):
        data.npz(str(tmp_path / "b.npz"))
