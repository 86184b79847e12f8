"""A few of the faults of `scripts/benchmarks/faults.py`, whose full counts take hours."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "benchmarks" / "faults.py"
pytestmark = pytest.mark.slow  # runs of their own, of five configurations


@pytest.mark.parametrize("part", ["kills", "flips"])
def test_nothing_is_lost_and_nothing_is_accepted_in_silence(part, tmp_path):
    command = [sys.executable, str(SCRIPT), part, "--count", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tried = [line for line in done.stderr.splitlines() if line.startswith(part)]
    assert len(tried) >= 2
    for outcome in tried:
        assert outcome == outcome.lower(), outcome  # a fault is told in capitals
