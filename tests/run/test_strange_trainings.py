"""Configurations from a stranger that are read train two steps, or say why they cannot."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts" / "benchmarks"))

from faults_configs import FINE, configs, trained

pytestmark = pytest.mark.slow  # each in a process of its own


def test_what_is_read_trains_or_says_why_not():
    accepted = [text for text, came, _ in configs(60, seed=1) if came == "read"]
    assert accepted
    for text in accepted[:4]:
        came, seconds, gigabytes, words = trained(text)
        assert came in FINE, f"{came}, {seconds:.0f} s, {gigabytes:.1f} GB: {words}\n{text}"
