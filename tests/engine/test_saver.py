"""Checkpoints written beside the training are those written at once, and a failure is heard."""

import os
import threading
import time

import jax
import jax.numpy as jnp
import pytest

from jaxopt_lab.core import files
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.engine.saver import Saver
from jaxopt_lab.engine.state import TrainState


def some_state(step=3):
    params = {"b": jnp.arange(4.0), "a": jnp.ones((2, 3), jnp.bfloat16), "n": jnp.array(7)}
    return TrainState(
        jnp.array(step), jax.random.key(step), params, {}, (params, jnp.array(True)), {}
    )


@pytest.fixture(name="saver")
def _saver():
    saver = Saver()
    yield saver
    saver.close()


def into(folder, step=3):
    return lambda tree: checkpoint.save(folder, step, tree, config_hash="abc")


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_bytes_are_those_of_a_save_at_once(saver, tmp_path):
    for name in ("beside", "at_once"):
        (tmp_path / name).mkdir()
    saver.save(into(tmp_path / "beside"), some_state())
    saver.wait()
    into(tmp_path / "at_once")(some_state())
    assert contents(tmp_path / "beside") == contents(tmp_path / "at_once")


def test_arrays_may_be_donated_while_they_are_written(saver, tmp_path):
    free = threading.Event()

    def late(tree):
        free.wait(10)
        into(tmp_path)(tree)

    begin = time.monotonic()
    state = some_state()
    saver.save(late, state)
    over = jax.jit(lambda s: jax.tree.map(jnp.zeros_like, s._replace(key=s.step)), donate_argnums=0)
    jax.block_until_ready(over(state))
    for leaf in jax.tree.leaves(state):
        if not leaf.is_deleted():
            leaf.delete()
    assert time.monotonic() - begin < 5 and not list(tmp_path.iterdir()), "nothing waited for it"
    free.set()
    saver.wait()
    found = checkpoint.restore(tmp_path, some_state(), config_hash="abc")
    assert found is not None and found[0] == 3
    jax.tree.map(
        lambda a, b: (a == b).all() or pytest.fail(f"{a} {b}"),
        found[1]._replace(key=jax.random.key_data(found[1].key)),
        some_state()._replace(key=jax.random.key_data(some_state().key)),
    )


def test_the_next_save_waits_for_the_one_before(saver):
    order = []

    def slow(tree):
        time.sleep(0.2)
        order.append("first")

    saver.save(slow, {})
    saver.save(lambda tree: order.append("second"), {})
    saver.wait()
    assert order == ["first", "second"]


@pytest.mark.parametrize("then", ["save", "check", "wait"])
def test_an_error_is_raised_at_the_next_chance_and_once(then, saver):
    def fails(tree):
        raise OSError(28, "No space left on device")

    saver.save(fails, {})
    while not saver._last.done():
        time.sleep(0.01)
    with pytest.raises(OSError, match="No space"):
        {"save": lambda: saver.save(fails, {}), "check": saver.check, "wait": saver.wait}[then]()
    saver.check()
    saver.wait()


def test_what_reads_back_otherwise_replaces_nothing(saver, tmp_path, monkeypatch):
    into(tmp_path, 1)(some_state(1))
    before = contents(tmp_path)
    rename = os.replace

    def spoiling(source, target):
        rename(source, target)
        if str(target).endswith(".npz"):
            with open(target, "r+b") as file:
                file.seek(100)
                file.write(b"?")

    monkeypatch.setattr(files.os, "replace", spoiling)
    write = lambda tree: checkpoint.save(tmp_path, 2, tree, config_hash="abc", keep=1)  # noqa: E731
    saver.save(write, some_state(2))
    with pytest.raises(OSError, match="reads back otherwise"):
        saver.wait()
    assert before.items() <= contents(tmp_path).items()
    assert checkpoint.whole_steps(tmp_path) == [1]
