"""Damaged folders: nothing is accepted in silence, and what is whole is gone on from."""

import contextlib
import json
import shutil
import warnings

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.run.commands.evaluate import evaluate_runs
from jaxopt_lab.run.records.folder import RunFolder
from jaxopt_lab.run.records.seal import broken, seal

TABLES = {
    "data": {"name": "digits", "batch_size": 256, "validation": 0.15},
    "model": {"name": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.02},
    "train": {"steps": 20, "evaluate_every": 5, "checkpoint_every": 5},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    jaxopt_lab.train(parse_config(TABLES), folder, progress=False)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def contents(folder):
    """What has no times in it."""
    names = ("config.toml", "signature.json", "seal.json", "metrics.jsonl")
    paths = [folder / name for name in names] + sorted((folder / "checkpoints").rglob("step-*"))
    return {path.name: path.read_bytes() for path in paths}


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place // 8 % len(content)] ^= 1 << (place % 8)
    path.write_bytes(content)


def resumed(folder):
    """What is said when a run goes on: an error, warnings, or nothing."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DamageWarning)
        try:
            jaxopt_lab.train(None, folder, resume=True, progress=False)
        except InputError as error:
            return [str(error)]
    return [str(each.message) for each in told]


@pytest.mark.parametrize("name", ["config.toml", "signature.json", "seal.json"])
def test_no_flipped_bit_of_what_a_run_was_begun_with_is_accepted(run, name):
    before, places = (run / name).read_bytes(), np.random.default_rng(0)
    for place in places.integers(0, 8 * len(before), 40).tolist():
        flip(run / name, place)
        told = pytest.warns(DamageWarning) if name == "seal.json" else pytest.raises(InputError)
        with told:
            RunFolder(run).read_config()
        (run / name).write_bytes(before)
    RunFolder(run).read_config()


@pytest.mark.parametrize("read", ["load_run", "evaluate", "resume"])
def test_a_config_that_was_cut_short_is_refused_wherever_it_is_read(run, read):
    path = run / "config.toml"
    path.write_text(path.read_text()[:-60])
    how = {
        "load_run": lambda: jaxopt_lab.load_run(run),
        "evaluate": lambda: evaluate_runs([run]),
        "resume": lambda: jaxopt_lab.train(None, run, resume=True, progress=False),
    }
    with pytest.raises(InputError, match=r"config\.toml is not what the run wrote .*from a copy"):
        how[read]()


@pytest.mark.parametrize("row", [0, 13, 22])
@pytest.mark.parametrize("how", ["digit", "brace"])
def test_a_damaged_row_is_written_again_where_a_checkpoint_is_older(run, whole, row, how):
    log = run / "metrics.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    old = lines[row]
    lines[row] = (
        old.replace("}", "{") if how == "brace" else old[:-4] + chr(ord(old[-4]) ^ 1) + old[-3:]
    )
    log.write_text("".join(lines))
    with pytest.warns(DamageWarning, match="is not what was written: its numbers may be wrong"):
        jaxopt_lab.load_run(run)
    (text,) = resumed(run)
    step = json.loads(old).get("step") or json.loads(old)["eval_step"]
    if step > 15:
        assert "before step 20: the run goes on from step 15" in text
        assert contents(run) == contents(whole)
    else:  # no checkpoint is older than the damage: the parameters are what they were
        lost = "1 of its rows is lost" if how == "brace" else "some of its numbers are wrong"
        assert f"{lost}; the parameters are not damaged, and the run goes on from step 20" in text
        rows = (run / "metrics.jsonl").read_text().splitlines()
        assert len(rows) == len(lines) and jaxopt_lab.load_run(run).step == 20


def test_a_summary_is_vouched_for_but_for_its_times(run):
    path, values = run / "summary.json", json.loads((run / "summary.json").read_text())
    path.write_text(json.dumps(values | {"run_seconds": 1.0, "steps_per_second": 2.0}))
    assert broken(run) == {}
    path.write_text(json.dumps(values | {"steps": 21}))
    assert broken(run) == {"summary.json": "damaged"}
    with pytest.raises(InputError, match=r"summary\.json is not what the run wrote .*--resume"):
        jaxopt_lab.load_run(run)
    assert resumed(run) == [] and broken(run) == {}
    path.unlink()
    with pytest.raises(InputError, match=r"summary\.json is missing"):
        jaxopt_lab.load_run(run)


@pytest.mark.parametrize("whether", [True, False])
def test_a_file_is_the_old_or_the_new_one_until_it_is_replaced(tmp_path, whether):
    path = tmp_path / "config.toml"
    path.write_text("old")
    seal(tmp_path, {"config.toml": None})
    seal(tmp_path, {"config.toml": b"new"})
    assert broken(tmp_path) == {}
    if whether:
        path.write_text("new")
    assert broken(tmp_path) == {}
    seal(tmp_path, {"config.toml": None})
    path.write_text("old" if whether else "new")
    assert broken(tmp_path) == {"config.toml": "damaged"}


def test_runs_of_a_sweep_whose_rows_or_files_are_damaged_are_trained_again(tmp_path):
    axis = {"optimizer.learning_rate": [0.01, 0.02, 0.03]}
    sweep = TABLES | {"train": {"steps": 4}, "sweep": {"seeds": 2} | axis}
    jaxopt_lab.sweep(parse_sweep(sweep), tmp_path / "sweep", progress=False)
    table, rows = ((tmp_path / "sweep" / n) for n in ("sweep.csv", "runs.jsonl"))
    before, whole = table.read_bytes(), rows.read_text()

    def goes_on(match):
        with pytest.warns(DamageWarning, match=match) if match else contextlib.nullcontext():
            jaxopt_lab.sweep(None, tmp_path / "sweep", resume=True, progress=False)
        assert table.read_bytes() == before

    lines = whole.splitlines(keepends=True)
    rows.write_text(lines[0] + lines[1].replace("finished", "finishes") + "".join(lines[2:])[:-9])
    goes_on("line 2 is damaged: the run of which that was has to be trained again")
    goes_on(None)
    rows.write_text(whole)
    archive = next((tmp_path / "sweep" / "waves" / "0000").glob("step-*.npz"))
    archive.write_bytes(archive.read_bytes()[:-1])
    goes_on(r"0000 is damaged: the runs in it are trained again \(0, 1, 2, 3, 4, 5\)")
    goes_on(None)
