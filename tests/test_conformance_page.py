"""The page on the conformance kit has every promise, and the matrix that the script makes."""

import pathlib
import re
import subprocess
import sys

import pytest

from jaxopt_lab import testing

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "conformance.md").read_text()
SCRIPT = ROOT / "scripts" / "conformance_of_optax.py"
CHECKS = (
    testing.check_transformation,
    testing.check_schedule,
    testing.check_augmentation,
    testing.check_model,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_promise_is_told(check):
    text = " ".join(PAGE.split())
    for each in testing.promises(check):
        assert f"`{each.name}`: {each.what} {each.why} *To mend:* {each.mend}" in text


def matrix_of(*names):
    done = subprocess.run(
        [sys.executable, SCRIPT, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(text):
    return dict(re.findall(r"^\|`([\w.]+)`(\|.*\|)$", text, re.MULTILINE))


@pytest.mark.slow
def test_the_script_finds_the_known_defects():
    text = matrix_of("identity", "monitor", "contrib.sam", "contrib.reduce_on_plateau")
    assert "X" not in rows(text)["identity"]
    for found in (
        r"structure\*\* `monitor`",
        r"extra_arguments\*\* `contrib.sam`",
        r"negative_metrics\*\* `contrib.reduce_on_plateau`",
    ):
        assert re.search(found, text)


@pytest.mark.slow  # 10 s
def test_the_script_over_three():
    text = matrix_of("identity", "monitor", "masked")
    assert list(rows(text)) == ["identity", "monitor"] and "`masked`: a wrapper" in text
    assert "X" not in rows(text)["identity"] and "measurements/norm is there" in text
    done = subprocess.run([sys.executable, SCRIPT, "adamm"], capture_output=True, check=False)
    assert done.returncode == 2 and b"did you mean 'adam" in done.stderr


@pytest.mark.slow
def test_the_matrix_of_the_page_is_what_the_script_finds():
    text = matrix_of()
    version = re.compile(r"^optax \S+, jax \S+,", re.MULTILINE)
    if version.findall(text) != version.findall(PAGE):
        pytest.skip("the page is of other versions")
    assert rows(text) == rows(PAGE)
