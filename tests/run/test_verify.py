"""A folder's own hashes, and where two runs part."""

import json
import shutil

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.cli import main
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.folder import RunFolder

TABLES = {
    "data": {"name": "digits", "batch_size": 256, "validation": 0.15},
    "model": {"name": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.02},
    "train": {"steps": 12, "evaluate_every": 3, "checkpoint_every": 6},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    jaxopt_lab.train(parse_config(TABLES), folder, progress=False)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def vouched(folder):
    names = ("config.toml", "signature.json", "seal.json", "metrics.jsonl", "summary.json")
    places = [folder / "checkpoints", folder / "kept"]
    return [folder / name for name in names] + [f for p in places for f in p.glob("step-*")]


def test_every_flip_cut_and_deletion_is_found(run):
    draw = np.random.default_rng(0)
    assert jaxopt_lab.verify(run).good
    for path in vouched(run):
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
            wrong = {fault.file for fault in jaxopt_lab.verify(run).faults[str(run)]}
            # Of the summary the times are vouched for by nothing, and its spaces mean nothing.
            if not (path.name == "summary.json" and how == "flip"):
                named = path.relative_to(run).as_posix()
                assert named in wrong or named.rpartition(".")[0] in wrong, (path.name, how)
            path.write_bytes(before)
    assert jaxopt_lab.verify(run).good


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


def test_of_two_runs_the_first_step_and_the_first_leaf_are_named(run, whole, tmp_path):
    found = jaxopt_lab.verify(run, whole)
    assert found.good and found.difference.same
    assert found.difference[:4] == (True, 4, None, 16)
    arrays = checkpoint.read_arrays(run / "checkpoints", lambda name: True)[1]
    name = next(name for name in arrays if name.endswith("bias") and "opt_state" in name)
    arrays[name] = arrays[name] + np.float32(0.5) * (np.arange(10) == 3)
    manifest = json.loads((run / "checkpoints" / "step-00000012.json").read_text())
    how = {"config_hash": manifest["config"], "beside": manifest["beside"]}
    checkpoint.save(run / "checkpoints", 12, _nested(arrays), **how)
    found = jaxopt_lab.verify(run, whole).difference
    assert (found.leaf_step, found.leaf, found.leaf_differs) == (12, name, 1)
    assert found.leaf_most == pytest.approx(0.5) and found.state_step is None


def test_another_seed_and_other_intervals(run, tmp_path, capsys):
    often = TABLES["train"] | {"evaluate_every": 4, "log_every": 2, "checkpoint_every": 4}
    jaxopt_lab.train(parse_config(TABLES | {"train": often}), tmp_path / "often", progress=False)
    found = jaxopt_lab.verify(run, tmp_path / "often").difference
    # 6 rows of training, and the evaluation of step 12 alone.
    assert found.rows == 7 and found.checkpoints == (12,) and not found.same_config
    assert found.row_step is None
    jaxopt_lab.train(parse_config(TABLES | {"seed": 1}), tmp_path / "seed", progress=False)
    assert main(["verify", str(run), str(tmp_path / "seed")]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "of different configurations" in out
    assert "the states differ at step 3 first" in out and "the logs differ at step 1 first" in out


def test_the_command_prints_words_or_json(run, capsys):
    assert main(["verify", str(run)]) == 0
    assert "all is what was written" in " ".join(capsys.readouterr().out.split())
    archive = run / "checkpoints" / "step-00000012.npz"
    archive.write_bytes(archive.read_bytes()[:-1])
    assert main(["verify", str(run), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    (fault,) = found["faults"][str(run)]
    assert (fault["file"], fault["state"]) == ("checkpoints/step-00000012", "damaged")
    assert "from step 6" in fault["then"] and found["good"] is False
    assert main(["verify", str(run.parent)]) == 2
    assert "holds neither a run nor a sweep" in capsys.readouterr().err


def test_a_sweep_is_looked_at_and_not_compared(tmp_path):
    sweep = TABLES | {"train": {"steps": 2}, "sweep": {"seeds": 2}}
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


def test_a_run_that_has_not_ended_is_whole_too(run):
    folder = RunFolder(run)
    folder.forget_after(6)
    assert jaxopt_lab.verify(run).good
