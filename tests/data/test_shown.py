"""A data set in words and in HTML: splits, classes, samples, never all of its arrays."""

import re

import numpy as np
import pytest

from jaxopt_lab.data import as_dataset, breast_cancer, diabetes, digits
from jaxopt_lab.data.dataset import Dataset

RNG = np.random.default_rng(0)


def images(kind, channels=3, size=(6, 5)):
    x = RNG.random((30, *size, channels))
    return (255 * x).astype(np.uint8) if kind == np.uint8 else (4 * x - 2).astype(kind)


DATASETS = {
    "digits": lambda: digits(),
    "numbers": lambda: diabetes(),
    "columns": lambda: breast_cancer(),
    "uint8": lambda: as_dataset((images(np.uint8), np.arange(30) % 3)),
    "floats": lambda: as_dataset((images(np.float32, 1), RNG.random(30).astype(np.float32))),
    "large": lambda: as_dataset((images(np.uint8, 3, (500, 300)), np.arange(30) % 3)),
    "four": lambda: as_dataset((images(np.float32, 4), RNG.random((30, 2)).astype(np.float32))),
    "labels": lambda: Dataset(
        {"x": images(np.uint8), "y": RNG.integers(0, 2, (30, 3)).astype(np.int32)},
        classes=("a", "b", "c"),
    ),
    "signals": lambda: as_dataset((RNG.random((30, 16, 2)).astype(np.float32), np.arange(30) % 3)),
}


@pytest.mark.parametrize("name", DATASETS)
def test_each_kind_is_shown_in_little(name):
    dataset = DATASETS[name]()
    html = dataset._repr_html_()
    assert len(repr(dataset).splitlines()) <= 4 and "array" not in repr(dataset)
    assert f"{len(dataset.train['y']):,}" in html and str(dataset.train["x"].dtype) in html
    is_image = dataset.train["x"].ndim == 4
    assert html.count("<img") == (10 if is_image else 0)
    assert len(html) < 1_500_000


def test_every_class_is_counted_and_has_a_sample():
    html = digits()._repr_html_()
    counts = re.findall(r'<tr><td>(\d)</td><td class="number">(\d+)</td>', html)
    y = digits().train["y"]
    assert counts == [(str(k), str(int((y == k).sum()))) for k in range(10)]
    assert re.findall(r"<figcaption>(\d)</figcaption>", html) == list("0123456789")


def test_names_are_escaped_and_many_classes_summed_up():
    classes = ("<b>cat</b>", *map(str, range(1, 200)))
    y = np.arange(400, dtype=np.int32) % 200
    dataset = Dataset({"x": np.zeros((400, 2), np.float32), "y": y}, classes=classes)
    html = dataset._repr_html_()
    assert "<b>cat" not in html and "&lt;b&gt;cat" in html
    assert '<td>180 more</td><td class="number">360</td>' in html


def test_missing_numbers_and_no_samples():
    x = np.full((3, 4, 4, 1), np.nan, np.float32)
    Dataset({"x": x, "y": np.zeros(3, np.float32)})._repr_html_()
    empty = {"x": np.zeros((0, 2), np.float32), "y": np.zeros(0, np.int32)}
    for dataset in (
        Dataset(empty, classes=("a",)),
        Dataset(empty | {"y": np.zeros(0, np.float32)}),
    ):
        assert "0 samples" in repr(dataset) and "<table>" in dataset._repr_html_()


def test_a_mapped_file_is_read_where_it_is_shown_only(tmp_path):
    np.save(tmp_path / "x.npy", images(np.uint8))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    dataset = Dataset({"x": x, "y": np.arange(30, dtype=np.int32) % 3}, classes=("a", "b", "c"))
    assert dataset._repr_html_().count("<img") == 10
