"""Data sets of Hugging Face's library, saved on the disk and in its cache; nothing is fetched."""

import contextlib
import io
import os
import pathlib
import pickle
import socket

import numpy as np
import pytest
from PIL import Image

from jaxopt_lab import data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import Rows, read_ahead

pytestmark = pytest.mark.slow  # the library takes seconds to import

DIGITS = data.digits()
IMAGES, LABELS = DIGITS.train["x"][:40, ..., 0], DIGITS.train["y"][:40] % 3
NAMES = ["zero", "one", "two"]


@pytest.fixture(autouse=True, scope="module")
def _library():
    global datasets
    datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def of_images(rows=slice(None), **columns):
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
    )
    images = [Image.fromarray(image) for image in IMAGES[rows]]
    made = datasets.Dataset.from_dict({"image": images, "label": LABELS[rows].tolist()}, features)
    for name, values in columns.items():
        made = made.add_column(name, values)
    return made


def saved(made, folder):
    made.save_to_disk(str(folder))
    return str(folder)


def test_images_and_their_labels(tmp_path):
    parts = {"train": of_images(slice(0, 30)), "validation": of_images(slice(30, 40))}
    found = data.huggingface(saved(datasets.DatasetDict(parts), tmp_path / "a"))
    np.testing.assert_array_equal(found.train["x"][..., 0], IMAGES[:30])
    np.testing.assert_array_equal(found.test["x"][..., 0], IMAGES[30:])
    np.testing.assert_array_equal(found.train["y"], LABELS[:30])
    np.testing.assert_array_equal(found.test["y"], LABELS[30:])
    assert found.classes == tuple(NAMES)
    assert "validation is the test split" in found.notes[0]
    alone = data.huggingface(saved(of_images(), tmp_path / "b"), size=4, channels=3)
    assert alone.test is None and alone.train["x"].shape == (40, 4, 4, 3)
    again = data.huggingface(saved(of_images(), tmp_path / "c"))
    assert again.fingerprint == alone.fingerprint != found.fingerprint


def test_shuffled_rows_groups_and_weights(tmp_path):
    made = of_images(who=list(range(40)), w=[0.5] * 40).select(range(39, 9, -1))
    found = data.huggingface(saved(made, tmp_path / "a"), group="who", weight="w")
    np.testing.assert_array_equal(found.train["x"][..., 0], IMAGES[39:9:-1])
    np.testing.assert_array_equal(found.train["group"], np.arange(39, 9, -1))
    assert found.train["weight"].dtype == np.float32


@pytest.mark.parametrize("x", [["a", "b"], "both"])
def test_columns_of_numbers(tmp_path, x):
    a, b = np.arange(20) / 3, np.arange(20) ** 2
    made = datasets.Dataset.from_dict(
        {"a": a, "b": b, "both": np.stack([a, b], 1).tolist(), "y": (a + 1).tolist()}
    )
    found = data.huggingface(saved(made, tmp_path / "a"), x=x, y="y")
    np.testing.assert_array_equal(found.train["x"], np.stack([a, b], 1).astype(np.float32))
    np.testing.assert_array_equal(found.train["y"], (a + 1).astype(np.float32))
    assert data.targets_of(found) == "numbers"


def test_unreadable_images_are_listed_and_may_be_skipped(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(buffer, "PNG")
    content = [{"bytes": buffer.getvalue(), "path": None}] * 3
    content[1] = {"bytes": b"no image", "path": None}
    features = datasets.Features({"image": datasets.Image(), "y": datasets.Value("string")})
    made = datasets.Dataset.from_dict({"image": content, "y": ["a", "a", "b"]}, features)
    path = saved(made, tmp_path / "a")
    with pytest.raises(InputError, match=r"1 file cannot be read: train\[1\]"):
        data.huggingface(path, y="y")
    found = data.huggingface(path, y="y", unreadable="skip")
    np.testing.assert_array_equal(found.train["y"], [0, 1])
    assert len(found.train["x"]) == 2 and "train[1]" in found.notes[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_images_are_those_in_memory(tmp_path, workers):
    made = of_images().select([*range(20, 40), *range(20)])
    damaged = [i % 7 == 0 for i in range(40)]
    encoded = made.cast_column("image", datasets.Image(decode=False))
    content = [
        {"bytes": b"no image" if bad else row["image"]["bytes"], "path": None}
        for row, bad in zip(encoded, damaged, strict=True)
    ]
    features = made.features
    made = datasets.Dataset.from_dict({"image": content, "label": made["label"][:]}, features)
    path = saved(made, tmp_path / "with a space")
    how = {"unreadable": "skip", "size": 6}
    whole, found = (
        data.huggingface(path, **how),
        data.huggingface(path, stream=True, workers=workers, **how),
    )
    x = found.train["x"]
    assert isinstance(x, Rows) and len(x) == 34 and len(found.notes[0]) > 20
    np.testing.assert_array_equal(found.train["y"], whole.train["y"])
    order = np.random.default_rng(0).permutation(len(x)).reshape(-1, 17)
    with contextlib.closing(read_ahead(x, order)) as ahead:
        for rows, batch in zip(order, ahead, strict=True):
            np.testing.assert_array_equal(batch, whole.train["x"][rows])


def test_what_processes_are_handed_is_small(tmp_path):
    x = data.huggingface(saved(of_images(), tmp_path / "a"), stream=True, workers=0).train["x"]
    assert len(pickle.dumps(x.source.lent(str(tmp_path)))) < 2000


def test_a_name_is_looked_for_in_the_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    before = datasets.config.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")
    with pytest.raises(InputError, match=r"cannot be read: .*fetch it with the library first"):
        data.huggingface(cached="nobody/nothing")
    assert (datasets.config.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")) == before


def test_a_name_of_the_cache_is_read(tmp_path, monkeypatch):
    """As the library leaves it there: cache/owner___name/configuration/version/hash."""
    (tmp_path / "raw").mkdir()
    of_images().to_parquet(str(tmp_path / "raw" / "train.parquet"))
    fetched = datasets.load_dataset(str(tmp_path / "raw"), cache_dir=str(tmp_path / "made"))
    made = pathlib.Path(fetched["train"].cache_files[0]["filename"]).parent
    home = tmp_path / "cache" / "owner___digits" / "default" / "0.0.0" / "0123456789abcdef"
    home.parent.mkdir(parents=True)
    made.rename(home)
    for path in home.glob("*.arrow"):
        path.rename(home / path.name.replace("parquet-", "digits-").replace("raw-", "digits-"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = data.huggingface(cached="owner/digits")
    np.testing.assert_array_equal(found.train["x"][..., 0], IMAGES)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"train_split": "trian"}, "there is no split 'trian', did you mean 'train'"),
        ({"x": "label", "stream": True}, "only images are streamed, 'label' holds none"),
        ({"test_split": "held"}, "there is no split 'held'"),
        ({"y": "lable"}, "there is no column 'lable', did you mean 'label'"),
        ({"x": ["image", "n"]}, "x is one column of images"),
        ({"x": "n"}, "must be numbers"),
        ({"y": "gone"}, "rows without a label"),
        ({"cached": "a"}, "one"),
    ],
)
def test_each_fault_is_told(tmp_path, how, text):
    made = of_images(n=["text"] * 40, gone=[-1] * 40)
    made = made.cast_column("gone", datasets.ClassLabel(names=NAMES))
    path = saved(datasets.DatasetDict({"train": made}), tmp_path / "a")
    with pytest.raises(InputError, match=text):
        data.huggingface(path, **{"y": "label", **how})


def test_a_folder_that_holds_none(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: .*save_to_disk writes one"):
        data.huggingface(str(tmp_path / "none"))
