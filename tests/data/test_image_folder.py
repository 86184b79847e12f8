"""Image files in folders: the pixels are Pillow's own, and what is odd is told, never dropped."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.natural_order import natural_key

DRAWS = np.random.default_rng(0)
COLOR = DRAWS.integers(0, 256, (6, 5, 3)).astype(np.uint8)
GRAY = COLOR[..., 0]


def save(path, image, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(path, **how)
    return path


def two_classes(root, image, name="a.png", **how):
    """A folder whose class "a" holds this image, and "b" a plain one of the same size."""
    save(root / "a" / name, image, **how)
    with Image.open(root / "a" / name) as saved:
        shape = (saved.height, saved.width)
        if saved.getexif().get(0x0112, 1) > 4:
            shape = shape[::-1]
    save(root / "b" / "b.png", np.zeros(shape, np.uint8))
    return root


def only(root, **how):
    """The image of class "a"."""
    found = data.image_folder(str(root), **how)
    (row,) = np.flatnonzero(found.train["y"] == 0)
    return found.train["x"][row]


@pytest.mark.parametrize("kind", ["png", "webp", "jpg", "bmp", "tiff"])
@pytest.mark.parametrize("gray", [False, True])
def test_digits_come_back_as_they_were_written(tmp_path, kind, gray):
    digits = data.digits()
    images, labels = digits.train["x"][:60, ..., 0], digits.train["y"][:60]
    if not gray:
        images = np.stack([images, 255 - images, images // 2], -1)
    for split, rows in (("train", range(50)), ("test", range(50, 60))):
        for i in rows:
            how = {"lossless": True} if kind == "webp" else {}
            save(tmp_path / split / f"digit {labels[i]}" / f"{i}.{kind}", images[i], **how)
    found = data.image_folder(str(tmp_path))
    assert found.classes == tuple(f"digit {i}" for i in range(10))
    for split, names in ((found.train, found.train_names), (found.test, found.test_names)):
        order = [int(name.split("/")[-1].split(".")[0]) for name in names]
        np.testing.assert_array_equal(split["y"], labels[order])
        expected = images[order] if not gray else images[order][..., None]
        if gray and kind == "webp":  # which has no gray
            expected = np.repeat(expected, 3, -1)
        assert split["x"].shape == expected.shape and split["x"].dtype == np.uint8
        if kind == "jpg":
            by_hand = [np.asarray(Image.open(tmp_path / name)) for name in names]
            np.testing.assert_array_equal(split["x"], np.reshape(by_hand, expected.shape))
        else:
            np.testing.assert_array_equal(split["x"], expected)
    assert not set(found.train_names) & set(found.test_names)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        1: COLOR,
        2: COLOR[:, ::-1],
        3: COLOR[::-1, ::-1],
        4: COLOR[::-1],
        5: COLOR.swapaxes(0, 1),
        6: COLOR.swapaxes(0, 1)[:, ::-1],
        7: COLOR.swapaxes(0, 1)[::-1, ::-1],
        8: COLOR.swapaxes(0, 1)[::-1],
    }
    two_classes(tmp_path, COLOR, exif=exif)
    np.testing.assert_array_equal(only(tmp_path), turned[orientation])


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_are_scaled_and_not_clipped(tmp_path, kind):
    deep = np.array([[0, 128, 129, 257], [300, 32_768, 65_406, 65_535]], np.uint16)
    two_classes(tmp_path, deep, name=f"a.{kind}")
    found = only(tmp_path)
    np.testing.assert_array_equal(found[..., 0], np.round(deep / 257).astype(np.uint8))
    assert found.max() == 255


def test_palettes_cmyk_and_one_bit(tmp_path):
    palette = Image.fromarray(COLOR).quantize(8)
    for name, image in {
        "palette": palette,
        "cmyk": Image.fromarray(COLOR).convert("CMYK"),
        "bit": Image.fromarray(GRAY).convert("1"),
    }.items():
        kind = "tiff" if name == "cmyk" else "png"
        two_classes(tmp_path / name, image, name=f"a.{kind}")
        expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(only(tmp_path / name, channels=3), expected)
    bit = only(tmp_path / "bit")
    assert bit.shape == (6, 5, 1) and set(np.unique(bit)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_what_is_transparent_is_laid_on_white(tmp_path, mode):
    how = {}
    if mode == "P":
        image = Image.fromarray(GRAY % 4).convert("P")
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
        how["transparency"] = 2
        clear = np.asarray(image) == 2
    elif mode == "RGB":
        image = Image.fromarray(COLOR)
        how["transparency"] = tuple(int(v) for v in COLOR[0, 0])
        clear = (COLOR[0, 0] == COLOR).all(-1)
    else:
        image = Image.fromarray(COLOR).convert(mode)
        alpha = np.where(GRAY > 100, 255, 0).astype(np.uint8)
        image.putalpha(Image.fromarray(alpha))
        clear = alpha == 0
    assert clear.any() and not clear.all()
    two_classes(tmp_path, image, **how)
    found = only(tmp_path, channels=3)
    assert (found[clear] == 255).all()
    opaque = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(found[~clear], opaque[~clear])
    kept = only(tmp_path, channels=4)
    assert kept.shape[-1] == 4
    np.testing.assert_array_equal(kept[..., 3] == 0, clear)


@pytest.mark.parametrize("size", [7, [9, 4], [3, 12]])
@pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
def test_mixed_sizes_reach_one(tmp_path, size, resize):
    save(tmp_path / "a" / "a.png", COLOR)
    save(tmp_path / "b" / "b.png", np.repeat(np.repeat(COLOR, 3, 0), 2, 1))
    height, width = (size, size) if isinstance(size, int) else size
    by_hand = {
        "crop": lambda image: ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR),
        "stretch": lambda image: image.resize((width, height), Image.Resampling.BILINEAR),
        "pad": lambda image: ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR),
    }[resize]
    found = data.image_folder(str(tmp_path), size=size, resize=resize)
    assert found.train["x"].shape == (2, height, width, 3)
    for row, name in enumerate(found.train_names):
        np.testing.assert_array_equal(
            found.train["x"][row], np.asarray(by_hand(Image.open(tmp_path / name)))
        )


def test_mixed_sizes_without_a_size_name_two_files(tmp_path):
    save(tmp_path / "a" / "a.png", COLOR)
    save(tmp_path / "b" / "b.png", COLOR[:4])
    with pytest.raises(
        InputError, match=r"a/a\.png is 6 x 5, b/b\.png is 4 x 5 .* size = \[6, 5\]"
    ):
        data.image_folder(str(tmp_path))


def test_classes_go_by_natural_order_and_the_test_split_by_name(tmp_path):
    for name in ("class_10", "class_2", "class_20"):
        save(tmp_path / "Train" / name / "1.png", GRAY)
        if name != "class_10":
            save(tmp_path / "Test" / name / "1.png", GRAY)
    found = data.image_folder(str(tmp_path))
    assert found.classes == ("class_2", "class_10", "class_20")
    np.testing.assert_array_equal(found.train["y"], [0, 1, 2])
    np.testing.assert_array_equal(found.test["y"], [0, 2])
    save(tmp_path / "Test" / "clas_2" / "1.png", GRAY)
    with pytest.raises(InputError, match="'clas_2', which is none of training, did you mean"):
        data.image_folder(str(tmp_path))


def test_natural_order_is_total():
    names = ["b", "a10", "a9", "a", "1a", "10", "9", "a01", "a1", "A1", "", "a1b2", "a1b10"]
    expected = ["", "1a", "9", "10", "A1", "a", "a01", "a1", "a1b2", "a1b10", "a9", "a10", "b"]
    assert sorted(names, key=natural_key) == expected


def test_dot_entries_empty_folders_and_loose_files_are_said(tmp_path):
    two_classes(tmp_path, COLOR)
    save(tmp_path / ".ipynb_checkpoints" / "a.png", COLOR)
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.txt").write_text("hello")
    found = data.image_folder(str(tmp_path))
    assert found.classes == ("a", "b")
    notes = "\n".join(found.notes)
    for text in (".ipynb_checkpoints", "a/.DS_Store", "(empty)", "(README.txt)", "a 1, b 1"):
        assert text in notes


def test_nested_folders_and_links(tmp_path):
    save(tmp_path / "a" / "deep" / "er" / "1.png", GRAY)
    save(tmp_path / "b" / "1.png", GRAY)
    os.symlink(tmp_path, tmp_path / "b" / "root")
    os.symlink(tmp_path / "a", tmp_path / "a" / "deep" / "loop")
    found = data.image_folder(str(tmp_path))
    assert "a/deep/er/1.png" in found.train_names
    assert any("links to a folder" in note for note in found.notes)


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (["train/a", "train/b", "cats"], "holds the split train beside cats"),
        (["test/a", "test/b"], "holds test and no train"),
        (["train/a", "training/b"], "holds both train and training"),
        (["train", "test"], "holds no folder with images"),
        (["a"], "one class only, 'a'"),
        ([], "holds nothing, expected a folder a class"),
    ],
)
def test_each_wrong_layout_is_told(tmp_path, folders, text):
    for folder in folders:
        save(tmp_path / folder / "1.png", GRAY)
    with pytest.raises(InputError, match=text):
        data.image_folder(str(tmp_path))


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "car", "train"):
        save(tmp_path / name / "1.png", GRAY)
    assert data.image_folder(str(tmp_path)).classes == ("bus", "car", "train")


@pytest.mark.parametrize("with_test", [False, True])
def test_a_validation_folder_is_told_about(tmp_path, with_test):
    for split in ("train", "val", "test") if with_test else ("train", "val"):
        for name in "ab":
            save(tmp_path / split / name / "1.png", GRAY)
    found = data.image_folder(str(tmp_path))
    held = "test" if with_test else "val"
    assert found.test_names == (f"{held}/a/1.png", f"{held}/b/1.png")
    assert any(("is left out" if with_test else "is the test split") in n for n in found.notes)


def bomb(width, height):
    """A PNG that claims so many pixels and holds none."""
    chunk = lambda kind, body: (  # noqa: E731
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def odd_files(root):
    """Files that are no image of one kind or another, by name."""
    png = save(root / "a" / "whole.png", DRAWS.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    content = png.read_bytes()
    png.unlink()
    os.symlink(root / "nothing", root / "a" / "broken_link.png")
    os.symlink(root / "a" / "itself.png", root / "a" / "itself.png")
    os.mkfifo(root / "a" / "pipe.png")
    Image.fromarray(GRAY.astype(np.float32)).save(root / "a" / "floats.tiff")
    files = {
        "cut.png": content[: len(content) // 2],
        "bomb.png": bomb(50_000, 50_000),
        "empty.jpg": b"",
        "labels.txt": b"a,b\n",
        "noise.png": bytes(100),
        "half_bomb.png": bomb(12_000, 10_000),  # of which Pillow only warns, if it is not decoded
    }
    for name, content in files.items():
        (root / "a" / name).write_bytes(content)
    return {*files, "broken_link.png", "itself.png", "pipe.png", "floats.tiff"}


def test_what_cannot_be_read_is_listed_and_may_be_skipped(tmp_path):
    two_classes(tmp_path, COLOR)
    names = odd_files(tmp_path) - {"cut.png", "half_bomb.png"}
    with pytest.raises(InputError) as caught:
        data.image_folder(str(tmp_path), size=8)
    message = str(caught.value)
    assert f"{len(names)} files cannot be read" in message
    assert 'unreadable = "skip"' in message
    assert not [name for name in names if f"a/{name} (" not in message]
    assert "2500000000 pixels" in message
    found = data.image_folder(str(tmp_path), unreadable="skip", size=[6, 5])
    assert sorted(found.train_names) == ["a/a.png", "b/b.png"]
    np.testing.assert_array_equal(found.train["x"][0], COLOR)
    listed = found.notes[-1]
    assert "skipped 10 files" in listed and "cut.png" in listed


def test_files_that_end_too_early_are_told_after_decoding(tmp_path):
    two_classes(tmp_path, COLOR)
    odd_files(tmp_path)
    for path in (tmp_path / "a").iterdir():
        if path.name not in ("a.png", "cut.png"):
            path.unlink()
    with pytest.raises(InputError, match=r"1 file cannot be read: a/cut\.png \(.*truncated"):
        data.image_folder(str(tmp_path), size=8)


def test_a_class_without_a_readable_image_is_an_error(tmp_path):
    two_classes(tmp_path, COLOR)
    (tmp_path / "b" / "b.png").write_bytes(b"no")
    with pytest.raises(InputError, match="no image of the class 'b'"):
        data.image_folder(str(tmp_path), unreadable="skip")


def test_groups_by_the_path(tmp_path):
    for name in ("a/p1_x.png", "a/p1_y.png", "b/p2_x.png", "b/p3_x.png"):
        save(tmp_path / name, GRAY)
    found = data.image_folder(str(tmp_path), group="(p[0-9]+)_")
    np.testing.assert_array_equal(found.train["group"], ["p1", "p1", "p2", "p3"])
    with pytest.raises(InputError, match=r"finds nothing in a/p1_x\.png"):
        data.image_folder(str(tmp_path), group="q")
    with pytest.raises(InputError, match="is no regular expression"):
        data.image_folder(str(tmp_path), group="(")


def test_the_fingerprint_is_of_names_and_contents(tmp_path):
    found = []
    for i in range(4):
        root = two_classes(tmp_path / str(i), COLOR if i != 1 else COLOR[::-1])
        if i == 2:
            (root / "a" / "a.png").rename(root / "a" / "c.png")
        found.append(data.image_folder(str(root)).fingerprint)
    assert found[0] == found[3]
    assert len(set(found)) == 3


def test_more_than_the_memory_is_refused_before_it_is_taken(tmp_path, monkeypatch):
    two_classes(tmp_path, COLOR)
    monkeypatch.setattr("jaxopt_lab.core.memory.machine_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"2 images of 100 x 100 takes .* give a smaller size"):
        data.image_folder(str(tmp_path), size=100)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"size": [1, 2, 3]}, r"\[height, width\] or one number"),
        ({"size": 0}, "must be >= 1"),
        ({"channels": 2}, "must be 1, 3 or 4"),
        ({"resize": "crap"}, "did you mean 'crop'"),
    ],
)
def test_arguments_are_checked(tmp_path, how, text):
    two_classes(tmp_path, COLOR)
    with pytest.raises(InputError, match=text):
        data.image_folder(str(tmp_path), **how)
