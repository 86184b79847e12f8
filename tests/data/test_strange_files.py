"""A file from a stranger is read or refused in one readable message, whatever is in it."""

import contextlib
import gzip
import io
import json
import os
import pathlib
import random
import signal
import struct
import tarfile
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image
from refusal import mutated, refused_well

from jaxopt_lab import data
from jaxopt_lab.core.safetensors import read_safetensors, write_safetensors
from jaxopt_lab.run.records.json_file import read_json
from jaxopt_lab.run.records.json_lines import last_lines, read_lines, recover_lines
from jaxopt_lab.run.records.samples import inputs_to

DRAW = np.random.default_rng(0)
X, Y = DRAW.integers(0, 256, (30, 8, 8), np.uint8), np.arange(30) % 3
SECONDS, MOST_BYTES = 10, 64 << 20
EXTRA = {"table": "pyarrow", "huggingface": "datasets"}


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, end=""):
    images = np.zeros((30, 28, 28), np.uint8)
    for split in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", Y.astype(np.uint8))):
            raw = gzip.compress(idx(array)) if end else idx(array)
            (folder / f"{split}-{kind}-ubyte{end}").write_bytes(raw)


def cifar_files():
    record = bytes([1]) + bytes(range(256)) * 12
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    return dict.fromkeys(names, record * 2)


def write_cifar(folder):
    for name, raw in cifar_files().items():
        (folder / name).write_bytes(raw)


def write_cifar_archive(folder):
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for name, raw in cifar_files().items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


def write_npy(folder):
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)


def write_text(folder, name, separator):
    rows = [("a", "b", "y"), *((i, i % 7 / 2, "uvw"[i % 3]) for i in range(30))]
    (folder / name).write_text("\n".join(separator.join(map(str, row)) for row in rows))


def write_parquet(folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"a": list(range(30)), "b": [i / 2 for i in range(30)], "y": list("uvw" * 10)}
    pq.write_table(pa.table(columns), folder / "t.parquet")


def write_images(folder):
    for i, kind in enumerate(("png", "jpg", "webp", "gif", "bmp", "tif")):
        for name in ("cat", "dog"):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(X[i]).save(folder / name / f"{i}.{kind}")


def write_hub(folder):
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["u", "v", "w"]),
        }
    )
    columns = {"image": [Image.fromarray(x) for x in X], "label": Y.tolist()}
    datasets.Dataset.from_dict(columns, features).save_to_disk(folder / "hub")


def save_weights(folder):
    write_safetensors(folder / "w.safetensors", {"a": X, "b": np.ones(3, np.float32)}, {"k": "v"})


FAMILY = {
    "idx": (write_mnist, data.mnist),
    "idx.gz": (lambda folder: write_mnist(folder, ".gz"), data.mnist),
    "cifar": (write_cifar, data.cifar10),
    "cifar.tar.gz": (write_cifar_archive, data.cifar10),
    "npy": (write_npy, lambda folder: data.npy(str(folder / "x.npy"), str(folder / "y.npy"))),
    "npz": (
        lambda folder: np.savez(folder / "d.npz", x=X, y=Y),
        lambda folder: data.npz(str(folder / "d.npz")),
    ),
    "npz, compressed": (
        lambda folder: np.savez_compressed(folder / "d.npz", x=X, y=Y),
        lambda folder: data.npz(str(folder / "d.npz")),
    ),
    "table.csv": (
        lambda folder: write_text(folder, "t.csv", ","),
        lambda folder: data.table(str(folder / "t.csv"), target="y"),
    ),
    "table.tsv": (
        lambda folder: write_text(folder, "t.tsv", "\t"),
        lambda folder: data.table(str(folder / "t.tsv"), target="y"),
    ),
    "table.parquet": (
        write_parquet,
        lambda folder: data.table(str(folder / "t.parquet"), target="y"),
    ),
    "image_folder": (write_images, lambda folder: data.image_folder(str(folder), size=8)),
    "huggingface": (write_hub, lambda folder: data.huggingface(str(folder / "hub"))),
    "safetensors": (save_weights, lambda folder: read_safetensors(folder / "w.safetensors")),
}
HEAVY = ("huggingface",)  # the library takes seconds to import
LOADERS = [
    pytest.param(name, id=name, marks=pytest.mark.slow if name in HEAVY else ()) for name in FAMILY
]


@pytest.fixture(name="whole")
def _whole(request, tmp_path):
    """`(name, folder, files)` of a loader's own data, which it reads."""
    name = request.param
    if module := EXTRA.get(name.partition(".")[0]):
        pytest.importorskip(module)
    folder = tmp_path / "whole"
    folder.mkdir()
    write, load = FAMILY[name]
    write(folder)
    load(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return name, folder, {path: path.read_bytes() for path in files}


@contextlib.contextmanager
def within(seconds):
    """What takes longer is told as a failure, a wait for a pipe too."""

    def late(*_):
        raise AssertionError(f"took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_refused(load):
    """Whether a call is refused well, without a warning and in time."""
    with within(SECONDS), warnings.catch_warnings():
        warnings.simplefilter("error")
        return refused_well(load)


@pytest.mark.parametrize("whole", LOADERS, indirect=True)
@pytest.mark.parametrize("count", [16, pytest.param(1540, marks=pytest.mark.slow)])
def test_a_mutated_file_is_read_or_refused(whole, count):  # 20,000 of the 13
    name, folder, files = whole
    draw, refused = random.Random(name), 0
    load = FAMILY[name][1]
    load(folder)  # what the libraries keep for ever
    # Once: a thread of Arrow's that allocates while tracing ends can end the process (gh-128679).
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(count):
        path = draw.choice(list(files))
        path.write_bytes(mutated(files[path], draw))
        tracemalloc.reset_peak()
        refused += is_refused(lambda: load(folder))
        assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES
        path.write_bytes(files[path])
    tracemalloc.stop()
    assert refused


# Places in a member's own header, and the same in the list at the end of a zip.
FLAGS, METHOD, NAME = (7, 9), (8, 10), (30, 46)


@pytest.mark.parametrize("whole", ["npz", "npz, compressed"], indirect=True)
@pytest.mark.parametrize("where", ["own", "listed", "both"])
def test_a_zip_may_say_anything_of_its_members(whole, where):
    name, folder, files = whole
    ((path, content),) = files.items()
    own, listed = content.index(b"PK\x03\x04"), content.index(b"PK\x01\x02")
    names = [{FLAGS: 8, NAME: letter} for letter in (0x93, 0xFF, 0x00, 0x2F)]
    for change in [{METHOD: method} for method in (*range(1, 21), *range(93, 100))] + names:
        changed = bytearray(content)
        for (in_own, in_list), value in change.items():
            for begin, at, here in ((own, in_own, "own"), (listed, in_list, "listed")):
                if where in (here, "both"):
                    changed[begin + at] = value
        path.write_bytes(changed)
        is_refused(lambda: FAMILY[name][1](folder))


@pytest.mark.parametrize("whole", LOADERS, indirect=True)
@pytest.mark.parametrize("kind", ["pipe", "device", "endless", "nothing", "folder", "loop"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(whole, kind):
    name, folder, files = whole
    paths = list(files) if name != "huggingface" else [p for p in files if p.suffix == ".arrow"]
    for path in paths[:2]:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            target = {"device": "/dev/null", "endless": "/dev/zero", "loop": path.name}
            path.symlink_to(target.get(kind, "not there"))
        assert is_refused(lambda: FAMILY[name][1](folder)) or (name, kind) == (
            "image_folder",
            "folder",
        ), path.name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(files[path])


PIPES = {
    "samples.jsonl": lambda path: inputs_to(None, [str(path)]),  # pyright: ignore
    "samples.npy": lambda path: inputs_to(None, [str(path)]),  # pyright: ignore
    "image.png": lambda path: inputs_to(None, [str(path)]),  # pyright: ignore
    "summary.json": read_json,
}


@pytest.mark.parametrize("name", PIPES)
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_nor_is_what_else_is_given_to_a_command(tmp_path, name, kind):
    path = tmp_path / name
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    assert is_refused(lambda: PIPES[name](path))
    assert list(read_lines(path)) == list(last_lines(path)) == list(recover_lines(path)) == []


def npy_header(shape, dtype="<f4"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def png_of(side):
    """A PNG that says it has `side` x `side` pixels, with next to no data."""
    import zlib

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def lie_idx(folder):
    write_mnist(folder)
    lie = struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    (folder / "train-images-idx3-ubyte").write_bytes(lie)
    return lambda: data.mnist(folder)


def lie_idx_bomb(folder):
    write_mnist(folder)
    path = folder / "train-images-idx3-ubyte"
    path.unlink()
    path.with_suffix(".gz").write_bytes(
        gzip.compress(idx(np.zeros((30, 28, 28), np.uint8)) + bytes(10**8))
    )
    return lambda: data.mnist(folder)


def lie_npy(folder):
    write_npy(folder)
    (folder / "x.npy").write_bytes(npy_header((10**12, 8)) + bytes(100))
    return lambda: data.npy(str(folder / "x.npy"), str(folder / "y.npy"))


def lie_npy_unfinished(folder):
    """A header that ends within a bracket, of which Python's tokenizer has an error of its own."""
    write_npy(folder)
    text = b"{'descr': (\n"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    (folder / "x.npy").write_bytes(header + bytes(100))
    return lambda: data.npy(str(folder / "x.npy"), str(folder / "y.npy"))


def lie_npz(folder):
    path = folder / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((10**12, 8)) + bytes(10**7))
        archive.writestr("y.npy", npy_header((3,)) + bytes(12))
    return lambda: data.npz(str(path))


def lie_npz_bomb(folder):
    """A member of a few KiB that unpacks to more than its own directory says."""
    path = folder / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((2, 8)) + bytes(10**8))
    raw = path.read_bytes().replace(
        struct.pack("<I", 10**8 + 128), struct.pack("<I", 2 * 8 * 4 + 128)
    )
    path.write_bytes(raw)
    return lambda: data.npz(str(path))


def lie_png(folder):
    write_images(folder)
    (folder / "cat" / "0.png").write_bytes(png_of(60_000))
    return lambda: data.image_folder(str(folder), size=8)


def lie_safetensors(folder):
    header = {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
    text = json.dumps(header).encode()
    (folder / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return lambda: read_safetensors(folder / "w.safetensors")


def lie_safetensors_header(folder):
    (folder / "w.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    return lambda: read_safetensors(folder / "w.safetensors")


LIES = [value for name, value in list(globals().items()) if name.startswith("lie_")]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_what_a_header_claims_is_given_no_memory(tmp_path, lie):
    load = lie(tmp_path)
    tracemalloc.start()
    try:
        assert is_refused(load)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bad", ["\x1b[31mred", "line\nbreak", "\u202etxt"])
def test_names_inside_an_archive_are_written_out(tmp_path, bad):
    pathlib.Path(tmp_path / "d.npz").unlink(missing_ok=True)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr(f"{bad}.npy", b"no array")
    assert is_refused(lambda: data.npz(str(tmp_path / "d.npz")))
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo(f"{bad}/data_batch_1.bin")
        info.size = 7
        tar.addfile(info, io.BytesIO(bytes(7)))
    assert is_refused(lambda: data.cifar10(tmp_path))
