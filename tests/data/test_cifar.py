import gzip
import io
import random
import tarfile
import tracemalloc

import numpy as np
import pytest

from jaxopt_lab import data
from jaxopt_lab.core.errors import ArgumentError, InputError

FOLDER = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
ARCHIVE = {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}
TRAIN = {"cifar10": [f"data_batch_{i}.bin" for i in range(1, 6)], "cifar100": ["train.bin"]}
TEST = {"cifar10": "test_batch.bin", "cifar100": "test.bin"}
NAMES = tuple(FOLDER)
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def samples(name, seed=0):
    """`{file: [(label bytes, (32, 32, 3) image), ...]}`, a few records each."""
    rng = np.random.default_rng(seed)
    high = [10] if name == "cifar10" else [20, 100]
    return {
        file: [
            (rng.integers(0, high), rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
            for _ in range(2 + number)
        ]
        for number, file in enumerate([*TRAIN[name], TEST[name]])
    }


def encode(records):
    """The published layout, byte by byte: labels, then the red, green and blue planes by rows."""
    return b"".join(
        bytes(labels.tolist()) + b"".join(image[:, :, c].tobytes() for c in range(3))
        for labels, image in records
    )


def files(name, seed=0):
    return {file: encode(records) for file, records in samples(name, seed).items()}


def write_folder(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for file, raw in content.items():
        (folder / file).write_bytes(raw)


def tar_bytes(members, form="gnu"):
    """A tar of `(name, bytes or TarInfo)` in order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[form]) as tar:
        for name, raw in members:
            if isinstance(raw, tarfile.TarInfo):
                tar.addfile(raw)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            info.mtime = 1234567890.25  # a fraction: the pax format writes an extra header for it
            tar.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


def members_of(name, content=None, prefix=""):
    content = files(name) if content is None else content
    return [(f"{prefix}{FOLDER[name]}/{file}", raw) for file, raw in content.items()]


def write_archive(folder, name, raw):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ARCHIVE[name]
    path.write_bytes(gzip.compress(raw, 1))
    return path


def assert_holds(dataset, name, content, label_byte=-1):
    expected = {
        "train": [record for file in TRAIN[name] for record in content[file]],
        "test": content[TEST[name]],
    }
    for split, records in expected.items():
        got = getattr(dataset, split)
        assert got.keys() == {"x", "y"}
        assert got["x"].dtype == np.uint8
        assert got["y"].dtype == np.int32
        assert got["x"].flags.c_contiguous
        assert got["x"].flags.writeable
        np.testing.assert_array_equal(got["x"], np.stack([image for _, image in records]))
        np.testing.assert_array_equal(
            got["y"], np.array([labels[label_byte] for labels, _ in records])
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_folder(tmp_path, name):
    write_folder(tmp_path / FOLDER[name], files(name))
    (tmp_path / FOLDER[name] / "readme.html").write_text("beside the data")
    loader = data.DATASETS[name]
    for data_dir in (tmp_path, str(tmp_path), tmp_path / FOLDER[name]):
        assert_holds(loader(data_dir), name, samples(name))


@pytest.mark.parametrize("below", ["cifar-10", "cifar10"])
def test_a_folder_below(tmp_path, below):
    write_folder(tmp_path / below / FOLDER["cifar10"], files("cifar10"))
    assert_holds(data.cifar10(tmp_path), "cifar10", samples("cifar10"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("prefix", ["", "./"])
def test_an_archive(tmp_path, name, form, prefix):
    """In any order, beside folders, texts and another system's extra files."""
    folder = tarfile.TarInfo(prefix + FOLDER[name])
    folder.type = tarfile.DIRTYPE
    members = [
        ("", folder),
        *reversed(members_of(name, prefix=prefix)),
        (f"{prefix}{FOLDER[name]}/batches.meta.txt", b"airplane\n"),
        (f"{prefix}{FOLDER[name]}/._{TEST[name]}", b"resource fork"),
    ]
    write_archive(tmp_path, name, tar_bytes(members, form))
    assert_holds(data.DATASETS[name](tmp_path), name, samples(name))
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE[name]]  # nothing extracted


def test_a_folder_comes_before_an_archive(tmp_path):
    write_folder(tmp_path / FOLDER["cifar10"], files("cifar10"))
    write_archive(tmp_path, "cifar10", b"never read")
    assert_holds(data.cifar10(tmp_path), "cifar10", samples("cifar10"))


def test_an_archive_stands_in_for_an_incomplete_folder(tmp_path):
    content = files("cifar10")
    write_archive(tmp_path, "cifar10", tar_bytes(members_of("cifar10")))
    content.pop("data_batch_3.bin")
    write_folder(tmp_path / FOLDER["cifar10"], content)
    assert_holds(data.cifar10(tmp_path), "cifar10", samples("cifar10"))


@pytest.mark.parametrize(("labels", "byte", "count"), [("coarse", 0, 20), ("fine", 1, 100)])
def test_cifar100_labels(tmp_path, labels, byte, count):
    write_folder(tmp_path / FOLDER["cifar100"], files("cifar100"))
    dataset = data.cifar100(tmp_path, labels=labels)
    assert_holds(dataset, "cifar100", samples("cifar100"), byte)
    assert len(set(dataset.classes)) == count
    assert list(dataset.classes) == sorted(dataset.classes)  # as published: alphabetical


def test_cifar100_unknown_labels(tmp_path):
    with pytest.raises(ArgumentError, match="'fine' or 'coarse', got 'medium'") as caught:
        data.cifar100(tmp_path, labels="medium")  # pyright: ignore[reportArgumentType]
    assert caught.value.faults.keys() == {"labels"}


def test_cifar10_classes(tmp_path):
    write_folder(tmp_path, files("cifar10"))
    classes = data.cifar10(tmp_path).classes
    assert (len(classes), classes[0], classes[9]) == (10, "airplane", "truck")


# What may be wrong with the bytes of one file, in a folder and in an archive alike.
REFUSED = {
    "empty": ("cifar10", "test_batch.bin", lambda raw: b"", "0 bytes"),
    "cut": ("cifar10", "data_batch_2.bin", lambda raw: raw[:-1], "whole number of records"),
    "longer": ("cifar10", "data_batch_2.bin", lambda raw: raw + b"\0", "whole number of records"),
    "label ten": ("cifar10", "data_batch_5.bin", lambda raw: b"\x0a" + raw[1:], "class label 10"),
    "too many": ("cifar10", "test_batch.bin", lambda raw: bytes(3073 * 10_001), "10,000 of them"),
    "coarse label": ("cifar100", "train.bin", lambda raw: b"\x14" + raw[1:], "coarse label 20"),
    "fine label": ("cifar100", "test.bin", lambda raw: b"\0\x64" + raw[2:], "fine label 100"),
    "records of the other": ("cifar100", "test.bin", lambda raw: bytes(3073), "3,073 bytes"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case, packed):
    name, file, change, message = REFUSED[case]
    content = files(name)
    content[file] = change(content[file])
    if packed:
        write_archive(tmp_path, name, tar_bytes(members_of(name, content)))
    else:
        write_folder(tmp_path / FOLDER[name], content)
    with pytest.raises(InputError, match=message) as caught:
        data.DATASETS[name](tmp_path)
    assert file in str(caught.value)


@pytest.mark.parametrize("file", ["data_batch_1.bin", "test_batch.bin"])
def test_a_folder_where_a_file_is_expected(tmp_path, file):
    write_folder(tmp_path, files("cifar10"))
    (tmp_path / file).unlink()
    (tmp_path / file).mkdir()
    with pytest.raises(InputError, match=f"{file}: expected a file, found a folder"):
        data.cifar10(tmp_path)


def test_a_folder_in_place_of_the_archive(tmp_path):
    (tmp_path / ARCHIVE["cifar10"]).mkdir()
    with pytest.raises(InputError, match="found a folder"):
        data.cifar10(tmp_path)


def link(name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_never_followed(tmp_path, kind):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(files("cifar10")["test_batch.bin"])
    members = [*members_of("cifar10")[:-1], link("x/test_batch.bin", kind, str(outside))]
    write_archive(tmp_path, "cifar10", tar_bytes(members))
    with pytest.raises(InputError, match=r"does not hold test_batch\.bin"):
        data.cifar10(tmp_path)


def test_paths_out_of_the_archive_write_nothing(tmp_path):
    folder = tmp_path / "deep" / "data"
    members = [
        ("../../escaped.bin", b"x"),
        (str(tmp_path / "absolute.bin"), b"x"),
        link("cifar-10-batches-bin/link", tarfile.SYMTYPE, "/"),
        *members_of("cifar10"),
    ]
    path = write_archive(folder, "cifar10", tar_bytes(members))
    assert_holds(data.cifar10(folder), "cifar10", samples("cifar10"))
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_a_file_twice(tmp_path):
    members = members_of("cifar10")
    write_archive(tmp_path, "cifar10", tar_bytes([*members, members[0]]))
    with pytest.raises(InputError, match=r"data_batch_1\.bin twice"):
        data.cifar10(tmp_path)


def test_the_python_version_is_refused(tmp_path):
    members = [(f"cifar-10-batches-py/data_batch_{i}", b"pickled") for i in range(1, 6)]
    write_archive(tmp_path, "cifar10", tar_bytes(members))
    with pytest.raises(InputError, match="the binary version"):
        data.cifar10(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: b"", "damaged"),
        (lambda raw: b"<html>not found</html>" * 100, "damaged"),
        (lambda raw: raw[: len(raw) // 2], "cut short"),
        (lambda raw: raw[:-4], "cut short"),
        (lambda raw: raw[:-8] + bytes(4) + raw[-4:], "damaged"),
        (lambda raw: raw[:5000] + bytes(100) + raw[5100:], "damaged"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, change, message):
    path = write_archive(tmp_path, "cifar10", tar_bytes(members_of("cifar10")))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        data.cifar10(tmp_path)


def test_a_tar_that_ends_within_a_member(tmp_path):
    raw = tar_bytes(members_of("cifar10"))
    write_archive(tmp_path, "cifar10", raw[:4000])
    with pytest.raises(InputError, match="damaged"):
        data.cifar10(tmp_path)


GIB = 1 << 30


def header(name, size, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


BOMBS = {
    "a foreign member": header("junk", 4 * GIB),
    "an expected member": header("test_batch.bin", 4 * GIB),
    "a larger one than there are bytes": header("test_batch.bin", 2**62),
    "a pax header": header("././@PaxHeader", 4 * GIB, tarfile.XHDTYPE),
    "a long name": header("././@LongLink", 4 * GIB, tarfile.GNUTYPE_LONGNAME),
    "nothing but zeros": tar_bytes(members_of("cifar10")),
    "a chain of pax headers": header("././@PaxHeader", 512, tarfile.XHDTYPE)
    + b"8 a=bcd\n".ljust(512, b"\0"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_refused_without_memory(tmp_path, case):
    """4 MB of gzip that expand to 4 GiB."""
    path = tmp_path / ARCHIVE["cifar10"]
    first = BOMBS[case] * (3000 if case == "a chain of pax headers" else 1)
    path.write_bytes(gzip.compress(first) + gzip.compress(bytes(1 << 26), 9) * 64)
    assert path.stat().st_size < 5 << 20
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            data.cifar10(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", FORMATS)
def test_damaged_headers_give_one_kind_of_error(tmp_path, form):
    """Bytes of tar headers replaced at random: the data set or an InputError, nothing else."""
    members = members_of("cifar10", {file: raw[:3073] for file, raw in files("cifar10").items()})
    raw = tar_bytes(members, form)
    blocks = [at for at in range(0, len(raw), 512) if b"ustar" in raw[at : at + 512]]
    draw = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(raw)
        block = draw.choice(blocks)
        for _ in range(draw.randint(1, 3)):
            damaged[block + draw.randrange(1024)] = draw.randrange(256)
        # A right checksum lets the damage through to what reads the fields.
        damaged[block + 148 : block + 156] = b" " * 8
        damaged[block + 148 : block + 156] = b"%06o\0 " % sum(damaged[block : block + 512])
        write_archive(tmp_path, "cifar10", bytes(damaged))
        try:
            data.cifar10(tmp_path)
        except InputError:
            refused += 1
    assert 0 < refused < 150


@pytest.mark.parametrize("field", [b"GNU.sparse.size=x", b"GNU.sparse.map=,"])
def test_an_extended_header_that_holds_no_number(tmp_path, field):
    record = b"%d %s\n" % (len(field) + 4, field)
    assert record.startswith(b"%d " % len(record))
    raw = header("x", len(record), tarfile.XHDTYPE) + record.ljust(512, b"\0")
    write_archive(tmp_path, "cifar10", raw + tar_bytes(members_of("cifar10")))
    with pytest.raises(InputError, match="damaged"):
        data.cifar10(tmp_path)
