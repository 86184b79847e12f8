"""The benchmark for a GPU or a TPU, which must run where nobody can mend it: small, on the CPU."""

import importlib.util
import json
import math
import pathlib

import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / "scripts" / "benchmarks" / "accelerator.py"


@pytest.fixture(scope="module", name="script")
def _script():
    spec = importlib.util.spec_from_file_location("accelerator", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PARTS = ("smoke", "mlp", "resnet18", "same", "runs", "augment", "updates", "kfac")


def test_every_part_is_in_this_test(script):
    assert tuple(script.PARTS) == PARTS


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_part_runs(script, part):
    rows = list(script.PARTS[part][0](True))
    assert rows and all(math.isfinite(value) for _, value, _ in rows)
    if part in ("smoke", "same"):  # the device is the CPU itself
        assert all(value == 0 for _, value, _ in rows)


def test_what_fails_or_is_late_is_a_line_and_the_rest_is_told(
    script, monkeypatch, tmp_path, capsys
):
    def found(part, tiny, seconds):
        assert tiny and seconds > 5
        rows = [] if part == "mlp" else [["a thing", 2.0, "ms"], ["another", None, "times"]]
        why = "RuntimeError: no room" if part == "mlp" else ""
        return {"part": part, "rows": rows, "device": "a card", "seconds": 1.0, "failed": why}

    monkeypatch.setattr(script, "in_own_process", found)
    assert script.main(["mlp", "kfac", "--tiny", "--json", str(tmp_path / "found.json")]) == 0
    out = capsys.readouterr().out
    assert out.count("a card") == 1 and "stopped: RuntimeError: no room" in out
    assert "not finite times" in out
    written = json.loads((tmp_path / "found.json").read_text())
    assert [each["part"] for each in written] == ["mlp", "kfac"]


def test_a_process_that_ends_badly_says_why(script, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "no_such_platform")
    found = script.in_own_process("updates", True, 60.0)
    assert not found["rows"] and "no_such_platform" in found["failed"]
    late = script.in_own_process("updates", True, 0.01)
    assert late["failed"] == "took longer than 0 s"
