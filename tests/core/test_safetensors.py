"""Files of safetensors against the library that writes them, and files that nobody should trust."""

import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.safetensors import read_safetensors

DRAWS = np.random.default_rng(0)
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
DTYPES += ["float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


def written(path, arrays, tail=b"", **changes):
    """A file by hand: `changes` go into the header's one array."""
    header, data = {}, b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        header[name] |= changes
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data + tail)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_what_the_library_writes_is_read(tmp_path, dtype, shape):
    values = np.asarray(DRAWS.integers(0, 2, shape)).astype(jnp.dtype(dtype))
    arrays = {"a.kernel": values, "b": np.arange(4, dtype=np.float32)}
    save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "np"})
    found = read_safetensors(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    if "8_" not in dtype:
        again = load_file(tmp_path / "x.safetensors")
        np.testing.assert_array_equal(found["a.kernel"], again["a.kernel"])


def test_a_file_by_hand_is_read(tmp_path):
    a, b = (DRAWS.normal(size=(2, 3)).astype(np.float32) for _ in range(2))
    found = read_safetensors(written(tmp_path / "x.safetensors", {"a": a, "b": b}))
    np.testing.assert_array_equal(found["a"], a)
    np.testing.assert_array_equal(found["b"], b)


ONE = {"a": np.ones((2, 3), np.float32)}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dtype": "F4"}, "'a' is of dtype 'F4', expected one of BOOL"),
        ({"dtype": ["F32"]}, "expected one of BOOL"),
        ({"shape": [2, 4]}, r"'a', F32 \(2, 4\), does not lie at \[0, 24\]"),
        ({"shape": [-2, -3]}, "does not lie at"),
        ({"shape": [2.0, 3]}, "does not lie at"),
        ({"shape": 6}, "its header says of 'a'"),
        ({"shape": [2**62, 2**62]}, "does not lie at"),
        ({"data_offsets": [0, 2**63]}, "does not lie at"),
        ({"data_offsets": [4, 28]}, "does not lie at"),
        ({"data_offsets": [24, 0]}, "does not lie at"),
        ({"data_offsets": [0]}, "its header says of 'a'"),
        ({"data_offsets": None}, "its header says of 'a'"),
    ],
)
def test_a_header_that_lies_is_told(tmp_path, changes, text):
    path = written(tmp_path / "x.safetensors", ONE, **changes)
    with pytest.raises(InputError, match=text):
        read_safetensors(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "a header of 0 bytes in a file of 0"),
        (b"abc", "in a file of 3"),
        (struct.pack("<Q", 2**63) + b"{}", "a header of 9,223,372,036,854,775,808 bytes"),
        (struct.pack("<Q", 2) + b"{", "a header of 2 bytes in a file of 9"),
        (struct.pack("<Q", 2) + b"x}", "its header is no JSON"),
        (struct.pack("<Q", 2) + b"\xff\xff", "its header is no JSON"),
        (struct.pack("<Q", 2) + b"[]", "damaged"),
        (struct.pack("<Q", 4) + b"null", "damaged"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "its header is no JSON"),
        (struct.pack("<Q", 18) + b'{"a": 3, "a": 4}  ', "a name is there twice"),
        (struct.pack("<Q", 8) + b'{"a": 3}', "its header says of 'a' 3"),
        (b"PK\x03\x04" + bytes(100), "no safetensors file"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path, content, text):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=text):
        read_safetensors(path)


@pytest.mark.parametrize("cut", [1, 8, 23, 24])
def test_a_file_that_is_cut_short_or_too_long_is_told(tmp_path, cut):
    path = written(tmp_path / "x.safetensors", {**ONE, "b": ONE["a"]})
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    with pytest.raises(InputError, match="damaged"):
        read_safetensors(path)
    path.write_bytes(content + b"more")
    with pytest.raises(InputError, match="overlap, leave holes or are cut short"):
        read_safetensors(path)


def test_arrays_that_overlap_are_told(tmp_path):
    path = written(tmp_path / "x.safetensors", {**ONE, "b": ONE["a"]}, data_offsets=[0, 24])
    with pytest.raises(InputError, match="overlap"):
        read_safetensors(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_safetensors(path)
