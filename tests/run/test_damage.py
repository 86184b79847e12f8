"""Damaged folders: nothing is accepted in silence, and what is whole is gone on from."""

import contextlib
import json
import warnings

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.run.commands.evaluate import evaluate_runs
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import broken, seal


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
def test_no_flipped_bit_of_what_a_run_was_begun_with_is_accepted(run_copy, name):
    before, places = (run_copy / name).read_bytes(), np.random.default_rng(0)
    for place in places.integers(0, 8 * len(before), 40).tolist():
        flip(run_copy / name, place)
        told = pytest.warns(DamageWarning) if name == "seal.json" else pytest.raises(InputError)
        with told:
            RunFolder(run_copy).read_config()
        (run_copy / name).write_bytes(before)
    RunFolder(run_copy).read_config()


@pytest.mark.parametrize("read", ["load_run", "evaluate", "resume"])
def test_a_config_that_was_cut_short_is_refused_wherever_it_is_read(run_copy, read):
    path = run_copy / "config.toml"
    path.write_text(path.read_text()[:-60])
    how = {
        "load_run": lambda: jaxopt_lab.load_run(run_copy),
        "evaluate": lambda: evaluate_runs([run_copy]),
        "resume": lambda: jaxopt_lab.train(None, run_copy, resume=True, progress=False),
    }
    with pytest.raises(InputError, match=r"config\.toml is not what the run wrote .*from a copy"):
        how[read]()


@pytest.mark.parametrize(("row", "how"), [(0, "digit"), (13, "brace"), (22, "digit")])
def test_a_damaged_row_is_written_again_where_a_checkpoint_is_older(run_copy, small_run, row, how):
    log = run_copy / "metrics.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    old = lines[row]
    lines[row] = (
        old.replace("}", "{") if how == "brace" else old[:-4] + chr(ord(old[-4]) ^ 1) + old[-3:]
    )
    log.write_text("".join(lines))
    with pytest.warns(DamageWarning, match="is not what was written: its numbers may be wrong"):
        jaxopt_lab.load_run(run_copy)
    (text,) = resumed(run_copy)
    step = json.loads(old).get("step") or json.loads(old)["eval_step"]
    if step > 15:
        assert "before step 20: the run goes on from step 15" in text
        assert contents(run_copy) == contents(small_run)
    else:  # no checkpoint is older than the damage: the parameters are what they were
        lost = "1 of its rows is lost" if how == "brace" else "some of its numbers are wrong"
        assert f"{lost}; the parameters are not damaged, and the run goes on from step 20" in text
        rows = (run_copy / "metrics.jsonl").read_text().splitlines()
        assert len(rows) == len(lines) and jaxopt_lab.load_run(run_copy).step == 20


def test_a_summary_is_vouched_for_but_for_its_times(run_copy):
    path, values = run_copy / "summary.json", json.loads((run_copy / "summary.json").read_text())
    path.write_text(json.dumps(values | {"run_seconds": 1.0, "steps_per_second": 2.0}))
    assert broken(run_copy) == {}
    path.write_text(json.dumps(values | {"steps": 21}))
    assert broken(run_copy) == {"summary.json": "damaged"}
    with pytest.raises(InputError, match=r"summary\.json is not what the run wrote .*--resume"):
        jaxopt_lab.load_run(run_copy)
    assert resumed(run_copy) == [] and broken(run_copy) == {}
    path.unlink()
    with pytest.raises(InputError, match=r"summary\.json is missing"):
        jaxopt_lab.load_run(run_copy)


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


def test_runs_of_a_sweep_whose_rows_or_files_are_damaged_are_trained_again(small, tmp_path):
    axis = {"optimizer.learning_rate": [0.01, 0.02, 0.03]}
    sweep = small | {"train": {"steps": 4}, "sweep": {"seeds": 2} | axis}
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
