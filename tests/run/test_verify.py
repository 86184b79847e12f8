"""A folder's own hashes, and where two runs part."""

import json

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.cli import main
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.run_folder import RunFolder


def vouched(folder):
    names = ("config.toml", "signature.json", "split.json", "seal.json", "metrics.jsonl")
    names += ("summary.json",)
    places = [folder / "checkpoints", folder / "kept"]
    return [folder / name for name in names] + [f for p in places for f in p.glob("step-*")]


def test_every_flip_cut_and_deletion_is_found(run_copy):
    draw = np.random.default_rng(0)
    assert jaxopt_lab.verify(run_copy).good
    for path in vouched(run_copy):
        before = path.read_bytes()
        for how in ("flip", "flip", "flip", "flip", "flip", "cut", "empty", "gone"):
            content = bytearray(before)
            if how == "flip":
                content[draw.integers(len(content))] ^= 1 << int(draw.integers(8))
            if how == "cut":
                content = content[: draw.integers(len(content))]
            path.write_bytes(b"" if how == "empty" else content)
            if how == "gone":
                path.unlink()
            wrong = {fault.file for fault in jaxopt_lab.verify(run_copy).faults[str(run_copy)]}
            # Of the summary the times are vouched for by nothing, and its spaces mean nothing.
            if not (path.name == "summary.json" and how == "flip"):
                named = path.relative_to(run_copy).as_posix()
                assert named in wrong or named.rpartition(".")[0] in wrong, (path.name, how)
            path.write_bytes(before)
    assert jaxopt_lab.verify(run_copy).good


def _nested(arrays):
    """Named arrays as a tree in which they have these names, in this order."""
    tree = {}
    for name, array in arrays.items():
        *path, last = name.split("/")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = array
    return tree


def test_of_two_runs_the_first_step_and_the_first_leaf_are_named(run_copy, small_run, tmp_path):
    found = jaxopt_lab.verify(run_copy, small_run)
    assert found.good and found.difference.same
    assert found.difference[:4] == (True, 4, None, 24)
    arrays = checkpoint.read_arrays(run_copy / "checkpoints", lambda name: True)[1]
    name = next(name for name in arrays if name.endswith("bias") and "opt_state" in name)
    arrays[name] = arrays[name] + np.float32(0.5) * (np.arange(10) == 3)
    manifest = json.loads((run_copy / "checkpoints" / "step-00000020.json").read_text())
    how = {"config_hash": manifest["config"], "beside": manifest["beside"]}
    checkpoint.save(run_copy / "checkpoints", 20, _nested(arrays), **how)
    found = jaxopt_lab.verify(run_copy, small_run).difference
    assert (found.leaf_step, found.leaf, found.leaf_differs) == (20, name, 1)
    assert found.leaf_most == pytest.approx(0.5) and found.state_step is None


def test_another_seed_and_other_intervals(small, run_copy, tmp_path, capsys):
    often = small["train"] | {"evaluate_every": 4, "log_every": 2, "checkpoint_every": 4}
    jaxopt_lab.train(parse_config(small | {"train": often}), tmp_path / "often", progress=False)
    found = jaxopt_lab.verify(run_copy, tmp_path / "often").difference
    # 10 rows of training, and the evaluation of step 20 alone.
    assert found.rows == 11 and found.checkpoints == (20,) and not found.same_config
    assert found.row_step is None
    jaxopt_lab.train(parse_config(small | {"seed": 1}), tmp_path / "seed", progress=False)
    narrow = small | {"model": {"name": "mlp", "hidden": [4]}}
    jaxopt_lab.train(parse_config(narrow), tmp_path / "narrow", progress=False)
    wide = small | {"model": {"name": "mlp", "hidden": [8]}}
    jaxopt_lab.train(parse_config(wide), tmp_path / "wide", progress=False)
    assert main(["verify", str(tmp_path / "narrow"), str(tmp_path / "wide")]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "(4,) float32 in one and (8,) float32 in the other" in out
    assert main(["verify", str(run_copy), str(tmp_path / "seed")]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "of different configurations" in out
    assert "the states differ at step 5 first" in out and "the logs differ at step 1 first" in out


def test_the_command_prints_words_or_json(run_copy, capsys):
    assert main(["verify", str(run_copy)]) == 0
    assert "all is what was written" in " ".join(capsys.readouterr().out.split())
    archive = run_copy / "checkpoints" / "step-00000020.npz"
    archive.write_bytes(archive.read_bytes()[:-1])
    assert main(["verify", str(run_copy), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    (fault,) = found["faults"][str(run_copy)]
    assert (fault["file"], fault["state"]) == ("checkpoints/step-00000020", "damaged")
    assert "from step 15" in fault["then"] and found["good"] is False
    assert main(["verify", str(run_copy.parent)]) == 2
    assert "holds neither a run nor a sweep" in capsys.readouterr().err


def test_a_sweep_is_looked_at_and_not_compared(small, tmp_path):
    sweep = small | {"train": {"steps": 2}, "sweep": {"seeds": 2}}
    folder = tmp_path / "sweep"
    jaxopt_lab.sweep(parse_sweep(sweep), folder, progress=False)
    assert jaxopt_lab.verify(folder).good
    with pytest.raises(InputError, match="is a sweep: give the folders of two runs"):
        jaxopt_lab.verify(folder, folder)
    for name in (
        "sweep.toml",
        "runs.jsonl",
        "sweep.csv",
        "best.toml",
        "waves/0000/step-00000000.npz",
    ):
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(before[:-3] + b"#" + before[-2:])
        (fault, *_) = jaxopt_lab.verify(folder).faults[str(folder)]
        assert name.startswith(fault.file) and fault.state == "damaged"
        path.write_bytes(before)
    assert jaxopt_lab.verify(folder).good


def test_a_run_that_has_not_ended_is_whole_too(run_copy):
    folder = RunFolder(run_copy)
    folder.forget_after(15)
    assert jaxopt_lab.verify(run_copy).good
