"""Configurations from a stranger that are read train two steps, or say why they cannot."""

import pathlib
import runpy

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "benchmarks" / "faults_configs.py"
pytestmark = pytest.mark.slow  # each in a process of its own


def test_what_is_read_trains_or_says_why_not():
    # Its folder has modules of names that tests have too, and so is no place to import from.
    script = runpy.run_path(str(SCRIPT))
    accepted = [text for text, came, _ in script["configs"](60, seed=1) if came == "read"]
    assert accepted
    for text in accepted[:4]:
        came, seconds, gigabytes, words = script["trained"](text)
        assert came in script["FINE"], (
            f"{came}, {seconds:.0f} s, {gigabytes:.1f} GB: {words}\n{text}"
        )
