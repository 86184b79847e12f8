"""The report: what it says of the test split, and that it is one page that asks nobody."""

import html.parser
import re

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.datasets import load_diabetes
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.run.records import intervals
from jaxopt_lab.run.records.answers import (
    Answers,
    classes_section,
    confusion_of,
    scores_section,
    worst_section,
)
from jaxopt_lab.run.records.page import Section, fill_page
from jaxopt_lab.run.records.prediction import Prediction

NAMES = ("<script>alert(1)</script>", "b", "absent")


def answers(**changes):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 40).astype(np.float32)
    probabilities[:, 2] = 0  # never said, never true
    index, y = probabilities.argmax(-1), random.integers(0, 2, 40)
    losses = -np.log(probabilities[np.arange(40), y])
    given = {
        "x": random.integers(0, 256, (40, 5, 4, 3)).astype(np.uint8),
        "y": y,
        "prediction": Prediction(np.log(probabilities + 1e-9), index, probabilities, None, NAMES),
        "losses": losses,
        "measures": {"accuracy": (index == y).astype(np.float32)},
        "weighted": False,
    }
    return Answers(**(given | changes))


@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (0, 50), (37, 50), (9999, 10000)])
def test_wilsons_interval_is_that_of_scipy(successes, count):
    low, high = intervals.wilson(successes, count)
    reference = binomtest(successes, count).proportion_ci(method="wilson")
    # Both are closed forms in float64.
    np.testing.assert_allclose((low, high), reference, rtol=1e-9, atol=1e-12)


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says():
    draws = np.random.default_rng(0).exponential(size=(2000, 400))
    held = [low <= 1 <= high for low, high in map(intervals.of_mean, draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)  # three standard errors
    assert intervals.of_mean(np.ones(1)) is None


def test_classes_are_counted_as_scikit_learn_counts_them():
    found = answers()
    y, index = found.y, found.prediction.index
    matrix = confusion_of(found)
    np.testing.assert_array_equal(matrix, confusion_matrix(y, index, labels=range(3)))
    precision, recall, f1, support = precision_recall_fscore_support(
        y, index, labels=range(3), zero_division=0
    )
    section = classes_section(found)
    for k in range(2):
        expected = [f"{support[k]:,}", *(f"{v[k]:.1%}" for v in (recall, precision, f1))]
        assert section.rows[k][1:5] == expected
    assert section.rows[2][1:] == ["0", "-", "-", "-", "-"]


def test_labels_are_counted_each_for_itself():
    random = np.random.default_rng(1)
    y, index = random.integers(0, 2, (2, 30, 3)).astype(bool)
    prediction = Prediction(index * 2.0 - 1, index, None, None, NAMES)
    section = classes_section(answers(y=y.astype(np.int32), prediction=prediction))
    precision, recall, f1, support = precision_recall_fscore_support(y, index)
    for k, row in enumerate(section.rows):
        expected = [f"{support[k]:,}", *(f"{v[k]:.1%}" for v in (recall, precision, f1))]
        assert row[1:] == expected


def test_the_worst_samples_are_those_of_the_largest_loss():
    found = answers()
    section = worst_section(found)
    assert len(section.samples) == 12
    worst = np.sort(found.losses)[::-1]
    for sample, loss in zip(section.samples, worst, strict=False):
        assert sample.lines[-1] == f"loss {loss:.4g}" and sample.lines[0].startswith("true ")
    few = worst_section(answers(x=np.zeros((40, 3), np.float32)))
    assert not few.samples and [row[-1] for row in few.rows] == [f"{v:.4g}" for v in worst[:12]]


def test_scores_have_intervals_where_they_are_means_of_samples_that_count_alike():
    scores = {"accuracy": 0.5, "auc": 0.6, "loss": 1.0, "confusion": [[1, 0], [0, 1]]}
    rows = {row[0]: row[2] for row in scores_section(scores, answers()).rows}
    assert rows["accuracy"] and rows["loss"] and not rows["auc"] and "confusion" not in rows
    assert not any(row[2] for row in scores_section(scores, answers(weighted=True)).rows)


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.asked = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.asked += [v for k, v in attrs if k in ("src", "href", "action", "srcset")]


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_a_page_escapes_what_it_shows_and_asks_nobody():
    text = "<img src='http://example.org/x.png' onerror=alert(1)> & \udc80 {{ 7 * 7 }}"
    page = fill_page(
        title=text,
        verdict=text,
        how=[text],
        figures=[(text, text)],
        sections=[
            Section(text, head=[text], rows=[[text]], items=[text], code=text, note=text),
            worst_section(answers()),
            classes_section(answers()),
            Section("holds nothing"),
        ],
    ).decode()
    found = read(page)
    assert "script" not in found.tags and found.tags.count("img") == 12
    assert all(source.startswith("data:image/png;base64,") for source in found.asked)
    assert "default-src 'none'" in page and "holds nothing" not in page
    assert page.count("{{ 7 * 7 }}") == page.count("onerror") > 5


@pytest.mark.parametrize("name", ["digits", "diabetes", "reconstruct"])
def test_the_report_of_a_run(tmp_path, name):
    tables = {
        "data": {"name": name.replace("reconstruct", "digits"), "validation": 0.2},
        "model": {"name": "mlp", "hidden": [8]},
        "optimizer": {"name": "adam", "learning_rate": 1e-2},
        "train": {"steps": 20},
    }
    if name == "reconstruct":
        tables |= {"model": {"name": "autoencoder"}, "loss": {"name": "squared_error"}}
        tables["data"] |= {"reconstruct": True}
    jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    page = (tmp_path / "run" / "report.html").read_text()
    found = read(page)
    pictures = {"digits": 16, "diabetes": 5, "reconstruct": 26}[name]
    assert found.tags.count("img") == pictures and "script" not in found.tags
    assert len(page) < 3_000_000 and not re.search(r"https?://", page)
    for words in ("Test split", "Environment", "jaxopt-lab train config.toml", "largest loss"):
        assert words in page
    assert ("Class by class" in page) == (name == "digits")
    if name == "diabetes":
        y = load_diabetes().target
        assert all(
            float(cell) in y for cell in re.findall(r"<tr><td>\d+</td><td>([\d.]+)</td>", page)
        )
