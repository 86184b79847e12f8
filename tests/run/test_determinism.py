"""One configuration, seed, version and device make one run folder, to the byte, but for times."""

import gzip
import json
import os
import subprocess
import sys

import pytest
from processes import AS_A_USER, environment

import jaxopt_lab
from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import _fit

TABLES = {
    "data": {"name": "digits", "batch_size": 128, "validation": 0.15},
    "model": {"name": "mlp", "hidden": [16], "dropout": 0.2},
    "optimizer": {"name": "adam", "learning_rate": 0.02},
    "augment": [{"name": "random_crop", "padding": 1}],
    "control": [{"name": "weight_ema"}],
    "train": {"steps": 24, "evaluate_every": 6, "checkpoint_every": 6},
}


def config(**train):
    return parse_config(TABLES | {"train": TABLES["train"] | train})


def contents(folder):
    """All that has no times in it; the report and the timings are of times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ("timings.jsonl", "report.html", ".lock"):
            found[name] = path.read_bytes()
    summary = json.loads(found["summary.json"])
    times = [k for k in summary if k.endswith("_seconds") or k == "steps_per_second"]
    return found | {"summary.json": {k: v for k, v in summary.items() if k not in times}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    jaxopt_lab.train(config(), folder, progress=False)
    found = contents(folder)
    assert {"config.toml", "metrics.jsonl", "seal.json", "split.json"} <= found.keys()
    assert any(name.startswith("plots/") for name in found) and len(found) > 10
    return found


def test_again_in_this_process_with_a_bar_and_in_chunks_of_other_sizes(
    whole, tmp_path, monkeypatch
):
    jaxopt_lab.train(config(), tmp_path / "bar", progress=True)
    assert contents(tmp_path / "bar") == whole
    for seconds in (1e-9, 1e9):  # a step a chunk, and as many as there are
        monkeypatch.setattr(
            _fit.fit, "__kwdefaults__", _fit.fit.__kwdefaults__ | {"seconds_per_chunk": seconds}
        )
        jaxopt_lab.train(config(), tmp_path / str(seconds), progress=False)
        assert contents(tmp_path / str(seconds)) == whole


@pytest.mark.slow  # 4 s; tests/engine/test_lost_run.py is the mechanism
def test_a_run_that_is_lost_ends_at_the_same_step_whatever_the_chunks_are(tmp_path, monkeypatch):
    lost = parse_config(
        TABLES | {"optimizer": {"name": "adam", "learning_rate": 1e30}, "control": []}
    )
    found = []
    for seconds in (1e-9, 1e9):
        monkeypatch.setattr(
            _fit.fit, "__kwdefaults__", _fit.fit.__kwdefaults__ | {"seconds_per_chunk": seconds}
        )
        result = jaxopt_lab.train(lost, tmp_path / str(seconds), progress=False)
        assert result.stopped_by == "diverged"
        found.append(contents(tmp_path / str(seconds)))
    assert found[0] == found[1]


def test_with_a_trace_which_can_be_opened(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jaxopt_lab.run.process.profile.SECONDS", 0.0)  # a chunk at least
    place = tmp_path / "a trace"
    jaxopt_lab.train(config(), tmp_path / "run", profile=place, progress=True)
    assert contents(tmp_path / "run") == whole
    (trace,) = place.rglob("perfetto_trace.json.gz")
    assert json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert "a trace is in" in capsys.readouterr().out
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="no trace can be written to"):
        jaxopt_lab.train(config(), profile=tmp_path / "file" / "trace", progress=False)


@pytest.mark.parametrize("log_every", [5, 24, 100])
def test_at_other_intervals_the_rows_and_checkpoints_that_both_have(whole, tmp_path, log_every):
    train = {"log_every": log_every, "evaluate_every": 12, "checkpoint_every": 12}
    jaxopt_lab.train(config(**train), tmp_path / "run", progress=False)
    found = contents(tmp_path / "run")
    rows = {r for r in found["metrics.jsonl"].splitlines() if b'"step"' in r}
    assert rows <= set(whole["metrics.jsonl"].splitlines())
    assert len(rows) == 24 // log_every
    for name in ("checkpoints/step-00000024.npz", "kept/step-00000024.npz"):
        # The last evaluation is a part of the state; those before it are not.
        assert found[name] == whole[name]


@pytest.mark.slow  # 8 s a process
@pytest.mark.parametrize("cores", [None, 1])
def test_in_a_process_of_its_own_and_on_another_number_of_threads(whole, tmp_path, cores):
    (tmp_path / "config.toml").write_text(to_toml(config()))
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    code = f"import os; os.sched_setaffinity(0, {chosen}); {AS_A_USER}"
    command = [sys.executable, "-c", code, "train", tmp_path / "config.toml"]
    subprocess.run(
        [*command, "--run-dir", tmp_path / "run"],
        check=True,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    assert contents(tmp_path / "run") == whole
