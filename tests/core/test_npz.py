"""An `.npz` from a stranger: nothing is allocated that the file does not hold."""

import io
import zipfile

import numpy as np
import pytest

from jaxopt_lab.core.npz import opened_npz

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.zeros((), np.int32),
    "c": np.zeros((0, 4), np.uint8),
    "d": np.array(["x", "yz"]),
}


def member(shape, dtype="<f4", version=(1, 0), data=b"\0" * 24):
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(stream, header)
    raw = bytearray(stream.getvalue())
    raw[6:8] = version if version != (1, 0) else (2, 0)
    return bytes(raw) + data


def written(path, content, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr("a.npy", content)
    return path


def test_what_savez_wrote_comes_back(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    with opened_npz(tmp_path / "a.npz") as file:
        assert set(file) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file[name], array)
            assert file[name].dtype == array.dtype


BAD = {
    "larger than the file": (member((2**40,)), zipfile.ZIP_STORED, "more than the file holds"),
    "product beyond 64 bits": (member((2**62, 2**62)), zipfile.ZIP_STORED, "more than the file"),
    "compressed": (member((6,)), zipfile.ZIP_DEFLATED, "is compressed"),
    "another format": (member((6,), version=(3, 0)), zipfile.ZIP_STORED, "is of format"),
    "no array": (b"nothing of the kind", zipfile.ZIP_STORED, "magic string"),
    "empty": (b"", zipfile.ZIP_STORED, "magic string"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_was_not_written_so_is_refused(case, tmp_path):
    content, how, said = BAD[case]
    with (
        pytest.raises(ValueError, match=said),
        opened_npz(written(tmp_path / "a.npz", content, how)),
    ):
        pass


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"), opened_npz(tmp_path / "a.npz") as file:
        file["a"]


def test_one_array_is_no_archive(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"no \.npz file"), opened_npz(tmp_path / "a.npy"):
        pass


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_is_damaged_is_one_of_two_errors(save, tmp_path):
    draw, path = np.random.default_rng(0), tmp_path / "a.npz"
    save(path, **ARRAYS)
    whole, refused = path.read_bytes(), 0
    heads = [i for i in range(len(whole)) if whole[i : i + 2] == b"PK"]
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(draw.integers(1, 4)):
            at = draw.choice([draw.integers(len(whole)), draw.choice(heads) + draw.integers(50)])
            content[min(at, len(whole) - 1)] = draw.choice([0, 8, 14, 0x93, 0xFF, *whole[:4]])
        path.write_bytes(content)
        try:
            with opened_npz(path) as file:
                _ = [file[name] for name in file]
        except (ValueError, OSError):
            refused += 1
    assert refused > 100
