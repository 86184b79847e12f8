"""Damaged folders: nothing is accepted in silence, and what is whole is gone on from."""

import contextlib
import json
import os
import pathlib
import shutil
import warnings

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.files import sha256_of_json
from jaxopt_lab.run.commands.compare import compare
from jaxopt_lab.run.commands.evaluate import evaluate_runs
from jaxopt_lab.run.commands.prune import find_prunable, prune
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import broken, seal, sealed


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


AS = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": pathlib.Path.mkdir,
    "link to itself": lambda path: path.symlink_to(path.name),
    "file": pathlib.Path.touch,
}


@pytest.mark.parametrize("how", AS)
def test_what_is_no_file_or_no_folder_in_the_place_of_one_is_named(run_copy, how):
    for path in sorted(run_copy.iterdir()):
        if (path.is_dir() and how == "folder") or (path.is_file() and how == "file"):
            continue
        path.rename(aside := run_copy.parent / "aside")
        AS[how](path)
        (text,) = resumed(run_copy)
        kind = "folder" if aside.is_dir() else "file"
        if path.name != "config.toml" or path.exists():  # which says that there is a run
            assert f"{path} is no {kind}" in text and "move it away" in text
        # Nothing waits for it, and where it is vouched for it is not called whole.
        named = {fault.file for fault in jaxopt_lab.verify(run_copy).faults[str(run_copy)]}
        assert path.name in named or path.name not in sealed(run_copy)
        with contextlib.suppress(InputError), warnings.catch_warnings(action="ignore"):
            jaxopt_lab.load_run(run_copy)
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        aside.rename(path)
    assert jaxopt_lab.verify(run_copy).good


def test_a_checkpoint_that_the_run_ended_with_is_missed(run_copy, small_run):
    place = run_copy / "checkpoints"
    for path in place.glob("step-00000020.*"):
        path.unlink()
    (fault,) = jaxopt_lab.verify(run_copy).faults[str(run_copy)]
    assert fault == ("checkpoints/step-00000020", "missing", fault.then)
    assert "goes on from step 15" in fault.then
    (text,) = resumed(run_copy)
    assert "step 20, with which the run ended, is missing: the steps after 15 are taken" in text
    assert contents(run_copy) == contents(small_run) and jaxopt_lab.verify(run_copy).good
    shutil.rmtree(place)
    faults = jaxopt_lab.verify(run_copy).faults[str(run_copy)]
    assert [f.state for f in faults] == ["missing", "missing"] and "starts over" in faults[0].then
    (text,) = resumed(run_copy)
    assert "the steps after 0 are taken again" in text
    assert contents(run_copy) == contents(small_run) and jaxopt_lab.verify(run_copy).good


def test_what_prune_removes_is_not_missed(run_copy):
    prune(find_prunable(run_copy, "best"))
    assert not list((run_copy / "checkpoints").glob("step-*"))
    assert jaxopt_lab.verify(run_copy).good


@pytest.mark.parametrize("place", ["checkpoints", "kept"])
def test_checkpoints_of_another_run_are_found(small, run_copy, tmp_path, place):
    jaxopt_lab.train(parse_config(small | {"seed": 1}), tmp_path / "other", progress=False)
    shutil.copytree(tmp_path / "other" / place, run_copy / place, dirs_exist_ok=True)
    faults = jaxopt_lab.verify(run_copy).faults[str(run_copy)]
    assert {fault.file.partition("/")[0] for fault in faults} == {place}


@pytest.mark.parametrize("form", [2, 4])
def test_a_checkpoint_of_another_format_is_no_damage(run_copy, form):
    path = run_copy / "checkpoints" / "step-00000020.json"
    manifest = json.loads(path.read_text()) | {"format": form}
    del manifest["manifest"]
    path.write_text(json.dumps(manifest | {"manifest": sha256_of_json(manifest)}))
    (fault,) = jaxopt_lab.verify(run_copy).faults[str(run_copy)]
    assert fault.state == "of another version" and f"format {form}" in fault.then
    before = contents(run_copy)
    told = resumed(run_copy)
    if form == 4:  # which would be lost
        assert "of a newer version" in told[0] and contents(run_copy) == before
    else:
        assert "step 20 is damaged, and that of step 15 is taken" in told[0]


@pytest.mark.parametrize("text", ["5", "[]", '"a"', "null", "{}", '{"format": 7}', "[" * 99_999])
def test_a_manifest_that_is_none_is_damage(run_copy, text):
    path = run_copy / "checkpoints" / "step-00000020.json"
    path.write_text(text)
    (fault,) = jaxopt_lab.verify(run_copy).faults[str(run_copy)]
    assert fault.state == "damaged" and "goes on from step 15" in fault.then
    assert "step 20 is damaged, and that of step 15 is taken" in resumed(run_copy)[0]


def test_a_comparison_tells_of_a_damaged_log(run_copy, small_run):
    log = run_copy / "metrics.jsonl"
    log.write_text(log.read_text().replace("0.", "0.1", 1))
    with pytest.warns(DamageWarning, match=r"metrics\.jsonl is not what was written"):
        compare([run_copy, small_run])


def test_a_log_that_nothing_is_in_makes_no_two_runs_the_same(run_copy, small_run):
    for path in [run_copy / "metrics.jsonl", *(run_copy / "checkpoints").iterdir()]:
        path.unlink()
    found = jaxopt_lab.verify(run_copy, small_run)
    assert not found.difference.same and not found.difference.compared


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
    for left in (lines[:-2], lines + lines[:1], lines[1:] + lines[:1]):
        rows.write_text("".join(left))
        goes_on("is not what was written when the sweep ended: runs that it lacks")
        goes_on(None)
    rows.unlink()
    goes_on("is not what was written when the sweep ended")
    archive = next((tmp_path / "sweep" / "waves" / "0000").glob("step-*.npz"))
    archive.write_bytes(archive.read_bytes()[:-1])
    goes_on(r"0000 is damaged: the runs in it are trained again \(0, 1, 2, 3, 4, 5\)")
    goes_on(None)
