"""Checkpoints: what is saved comes back to the bit, what is damaged does not come back."""

import contextlib
import json
import os
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refusal import mutated, refused_well

from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.files import sha256_of_json
from jaxopt_lab.engine import checkpoint


def some_tree(shift=0.0):
    return {
        "params": {"w": jnp.linspace(0, 1, 6).reshape(2, 3) + shift, "b": jnp.zeros((0, 3))},
        "narrow": jnp.linspace(-1, 1, 5, dtype=jnp.bfloat16),
        "count": jnp.array(7, jnp.int32),
        "flag": jnp.array(True),
        "key": jax.random.key(3),
    }


def save(folder, step, tree, **kw):
    checkpoint.save(folder, step, tree, config_hash="abc", **kw)


def restore(folder, template=None):
    return checkpoint.restore(folder, template or some_tree(), config_hash="abc")


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def test_round_trip(tmp_path):
    save(tmp_path, 5, some_tree())
    step, tree = restore(tmp_path)
    assert step == 5
    assert_same(tree, some_tree())


@pytest.mark.parametrize("name", ["step-00000002.json", "step-00000002.npz"])
def test_no_flipped_bit_is_taken_for_what_was_saved(tmp_path, name):
    for step in (1, 2):
        save(tmp_path, step, some_tree(step))
    path = tmp_path / name
    whole, places = path.read_bytes(), np.random.default_rng(0)
    for place in places.integers(0, 8 * len(whole), 150):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        with pytest.warns(DamageWarning, match="of step 2 is damaged, and that of step 1 is taken"):
            step, tree = restore(tmp_path)
        assert step == 1
        assert_same(tree, some_tree(1))
    path.write_bytes(whole)
    assert restore(tmp_path)[0] == 2


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_what_is_no_regular_file_is_passed_over(tmp_path, kind, suffix):
    for step in (1, 2):
        save(tmp_path, step, some_tree(step))
    path = tmp_path / f"step-00000002{suffix}"
    path.unlink()
    path.symlink_to("/dev/zero") if kind == "link" else os.mkfifo(path)
    with pytest.warns(DamageWarning, match="of step 2 is damaged"):
        assert restore(tmp_path)[0] == 1


@pytest.mark.parametrize("count", [100, pytest.param(7000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["bytes", "archive", "manifest"])
def test_a_mutated_checkpoint_is_restored_or_refused(tmp_path, what, count):
    """Its bytes, or what it holds with the right hashes, as who means harm would."""
    save(tmp_path, 1, some_tree())
    files = {path: path.read_bytes() for path in tmp_path.glob("step-*")}
    archive, path = tmp_path / "step-00000001.npz", tmp_path / "step-00000001.json"
    draw, refused = random.Random(what), 0
    for _ in range(count):
        changed = {"archive": archive, "manifest": path}.get(what) or draw.choice(list(files))
        changed.write_bytes(mutated(files[changed], draw))
        if what != "bytes":
            with contextlib.suppress(ValueError, AttributeError, TypeError):
                manifest = json.loads(path.read_bytes())
                manifest.pop("manifest", None)
                manifest |= {"sha256": checkpoint._digest(archive)}
                path.write_text(json.dumps(manifest | {"manifest": sha256_of_json(manifest)}))
        refused += refused_well(lambda: restore(tmp_path))
        for each, content in files.items():
            each.write_bytes(content)
    assert refused > count // 4


@pytest.mark.parametrize("arrays", [b"no archive at all", None])
def test_nonsense_with_the_right_hashes_is_told(tmp_path, arrays):
    save(tmp_path, 1, some_tree())
    archive, path = tmp_path / "step-00000001.npz", tmp_path / "step-00000001.json"
    if arrays is None:
        np.savez(archive, other=np.zeros(3))
    else:
        archive.write_bytes(arrays)
    manifest = json.loads(path.read_bytes())
    manifest |= {"sha256": checkpoint._digest(archive)}
    del manifest["manifest"]
    path.write_text(json.dumps(manifest | {"manifest": sha256_of_json(manifest)}))
    with pytest.raises(InputError, match="vouches for arrays that cannot be read"):
        restore(tmp_path)
    with pytest.raises(InputError, match="vouches for arrays that cannot be read"):
        checkpoint.read_arrays(tmp_path, lambda name: True)


def test_an_empty_folder_has_none(tmp_path):
    assert restore(tmp_path) is None


@pytest.mark.parametrize("latest", [False, True])
def test_what_was_being_removed_or_written_when_the_run_was_killed_goes(latest, tmp_path):
    """The manifest goes first, and comes last: an archive alone was half removed, or written."""
    for step in (1, 2, 3, 4):
        save(tmp_path, step, some_tree(step), keep=None)
    place = tmp_path / checkpoint.LATEST if latest else tmp_path
    place.mkdir(exist_ok=True)
    for step in (1, 4):
        whole = tmp_path / f"step-{step:08d}.json"
        whole.unlink()
        whole.with_suffix(".npz").rename(place / f"step-{step:08d}.npz")
    (place / "step-00000007").mkdir()  # of several processes
    assert checkpoint.unfinished_steps(tmp_path) == [7, 4, 1]
    checkpoint.drop_after(tmp_path, 2)
    assert checkpoint.unfinished_steps(tmp_path) == []
    assert sorted(p.name for p in tmp_path.rglob("step-*")) == [
        "step-00000002.json",
        "step-00000002.npz",
    ]
    assert restore(tmp_path)[0] == 2


def test_keeps_the_newest_and_restores_the_newest(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step, some_tree(step), keep=2)
    assert len(list(tmp_path.glob("*.npz"))) == len(list(tmp_path.glob("*.json"))) == 2
    assert_same(restore(tmp_path)[1], some_tree(3))


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "unfinished", "step"])
def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path, damage):
    save(tmp_path, 1, some_tree(1))
    save(tmp_path, 2, some_tree(2))
    archive, manifest = tmp_path / "step-00000002.npz", tmp_path / "step-00000002.json"
    content = bytearray(archive.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        archive.write_bytes(content)
    elif damage == "truncate":
        archive.write_bytes(content[:-10])
    elif damage == "remove":
        archive.unlink()
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:40])
    elif damage == "unfinished":
        manifest.unlink()
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"step": 9}))
    gone = damage == "unfinished"  # as if it had never been finished
    told = contextlib.nullcontext() if gone else pytest.warns(DamageWarning, match="of step 2 is")
    with told:
        step, tree = restore(tmp_path)
    assert step == 1
    assert_same(tree, some_tree(1))


def test_a_step_is_chosen_and_what_came_after_it_dropped(tmp_path):
    for step in (99_999_999, 100_000_000):
        save(tmp_path, step, some_tree(step))
    (tmp_path / "step-copy.json").write_text("a user's own")
    assert checkpoint.steps(tmp_path) == [100_000_000, 99_999_999]
    step, tree = checkpoint.restore(tmp_path, some_tree(), config_hash="abc", step=99_999_999)
    assert step == 99_999_999
    assert_same(tree, some_tree(step))
    with pytest.raises(InputError, match="no checkpoint of step 7; there are: 100000000, 99999999"):
        checkpoint.restore(tmp_path, some_tree(), config_hash="abc", step=7)
    checkpoint.drop_after(tmp_path, 99_999_999)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    next(tmp_path.glob("*.npz")).write_bytes(b"damaged")
    with pytest.raises(InputError, match="the checkpoint of step 99999999 is damaged"):
        checkpoint.restore(tmp_path, some_tree(), config_hash="abc", step=99_999_999)


def test_another_configuration_is_refused(tmp_path):
    save(tmp_path, 1, some_tree())
    with pytest.raises(InputError, match="another configuration"):
        checkpoint.restore(tmp_path, some_tree(), config_hash="def")


def test_another_structure_is_refused(tmp_path):
    save(tmp_path, 1, some_tree())
    with pytest.raises(InputError, match="other arrays"):
        restore(tmp_path, some_tree() | {"more": jnp.zeros(2)})
    with pytest.raises(InputError, match="narrow"):
        restore(tmp_path, some_tree() | {"narrow": jnp.zeros(4, jnp.bfloat16)})


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    save(tmp_path, 1, some_tree(1))

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2, some_tree(2))
    monkeypatch.undo()
    assert restore(tmp_path)[0] == 1
    assert not list(tmp_path.glob(".*.tmp"))


def test_nothing_but_damaged_ones_is_an_error(tmp_path):
    save(tmp_path, 1, some_tree())
    (tmp_path / "step-00000001.npz").write_bytes(b"")
    with pytest.raises(InputError, match="they are damaged: step-00000001"):
        restore(tmp_path)


@pytest.mark.parametrize("form", [1, 99])
def test_what_another_version_wrote_is_said_to_be_so(tmp_path, form):
    save(tmp_path, 1, some_tree())
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": form}))
    with pytest.raises(InputError, match=f"of another version .* of format {form}, where"):
        restore(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "2"}))
    with pytest.raises(InputError, match="they are damaged"):
        restore(tmp_path)


def test_what_several_processes_write_is_restored_by_one_unless_damaged(tmp_path, monkeypatch):
    # One process stands for several here; two real ones are in tests/run/test_distributed.py.
    monkeypatch.setattr(checkpoint, "_several_processes", lambda: True)
    for step in (1, 2, 3):
        save(tmp_path, step, some_tree(step), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "step-00000002",
        "step-00000003",
    ]
    step, tree = restore(tmp_path)
    assert step == 3
    assert_same(tree, some_tree(3))
    files = [path for path in (tmp_path / "step-00000003").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(b"x" + largest.read_bytes()[1:])
    with pytest.warns(DamageWarning, match="of step 3 is damaged"):
        assert_same(restore(tmp_path)[1], some_tree(2))
