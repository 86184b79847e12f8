"""Fragments of HTML: everything escaped, nothing asked of anybody, pictures that open."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from jaxopt_lab.core.line_chart import line_chart
from jaxopt_lab.core.notebook import fragment, picture, pictures, table
from jaxopt_lab.core.png import png_of

EVIL = "<script>alert('x')</script>\"&\ud800"


def test_every_text_is_escaped():
    png = png_of(np.zeros((2, 2, 3), np.uint8))
    made = fragment(
        EVIL,
        EVIL,
        [
            table([EVIL], [[EVIL]]),
            pictures([picture(EVIL, png, width=5, below=EVIL)]),
            line_chart([0, 1], [0, 1], EVIL, EVIL),
        ],
        soft=[EVIL],
    )
    assert "<script" not in made and "alert" in made
    assert not re.search(r"https?:|url\(|@import", made)
    ElementTree.fromstring(made)  # well formed
    made.encode()  # no lone surrogate is left


def test_the_style_reaches_nothing_else():
    style = fragment("", "", []).split("<style>")[1].split("</style>")[0]
    selectors = [s.strip() for rule in style.split("}") for s in rule.split("{")[0].split(",")]
    assert all(s.startswith(".jaxopt-lab") for s in selectors if s)


def test_nothing_to_show_is_nothing():
    assert table(["a"], []) == "" and pictures([]) == ""
    assert line_chart([0], [1], "x", "y") == ""
    assert line_chart([0, 1], [np.nan, 1], "x", "y") == ""


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (64, 200)])
def test_a_png_is_read_back_by_pillow(channels, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)
    read = np.asarray(Image.open(io.BytesIO(png_of(pixels))))
    np.testing.assert_array_equal(read.reshape(pixels.shape), pixels)


@pytest.mark.parametrize(
    "y", [[1, 1, 1], [0, 0, 0], [1e-9, 2e-9, 0], [1e9, 0, 5e8], [-1, 2, 0.5], [0.1, np.nan, 0.3]]
)
def test_a_curve_stays_in_its_frame(y):
    made = ElementTree.fromstring(line_chart([0, 5, 10], y, "step", "value"))
    path = list(made)[-1].attrib["d"]
    points = np.array([p.split() for p in path[1:].split("L")], float)
    assert len(points) == np.isfinite(y).sum()
    assert (points >= 0).all() and (points[:, 0] <= 460).all() and (points[:, 1] <= 190).all()
