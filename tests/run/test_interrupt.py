"""What SIGINT, SIGTERM and SIGHUP do before there is anything to save, and then."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from processes import environment

import jaxopt_lab
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.process.interrupt import NUMBERS, catch_interrupts, ending_at_once

EACH = pytest.mark.parametrize("number", NUMBERS)


def handlers():
    return [signal.getsignal(number) for number in NUMBERS]


@EACH
def test_before_there_is_anything_to_save_it_ends_the_command(number):
    before = handlers()
    with pytest.raises(KeyboardInterrupt), ending_at_once():
        os.kill(os.getpid(), number)
    assert handlers() == before


@EACH
def test_one_that_python_dropped_ends_the_command_at_the_next_chance(number):
    """As where it is raised in a callback of the garbage collector."""
    with ending_at_once():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt), catch_interrupts(print):
            pytest.fail("it was forgotten")


@EACH
def test_then_the_first_is_a_wish_and_the_second_ends_it(number):
    told = []
    with ending_at_once(), catch_interrupts(told.append) as interrupts:
        assert not interrupts.asked()
        os.kill(os.getpid(), number)
        assert interrupts.asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert len(told) == 1


def test_one_that_comes_as_a_line_is_written_is_heard_all_the_same():
    def within(text):
        raise RuntimeError("reentrant call inside a buffered writer")

    with catch_interrupts(within) as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.asked()


def test_what_nohup_has_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_at_once(), catch_interrupts(print) as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupts.asked()
    finally:
        signal.signal(signal.SIGHUP, before)


CONFIG = """
seed = 0
[data]
name = "digits"
batch_size = 64
[model]
name = "linear"
[optimizer]
name = "sgd"
learning_rate = 0.01
[train]
steps = 1000000
checkpoint_every = 1000000
"""
AS_A_USER = "from jaxopt_lab.cli import main; main()"


def command(tmp_path, *arguments):
    (tmp_path / "c.toml").write_text(CONFIG)
    return [sys.executable, "-c", AS_A_USER, "train", "c.toml", "--run-dir", "run", *arguments]


def begun(process, out):
    """Waits until a run takes steps; gives what it has said."""
    said = b""
    while b"step 1/" not in said and process.poll() is None:
        said += os.read(out, 4096)
    return said


def started(tmp_path, **streams):
    """A run in a process of its own that takes steps, and what it has said."""
    process = subprocess.Popen(
        command(tmp_path),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **streams,
    )
    assert process.stdout is not None
    return process, begun(process, process.stdout.fileno())


@EACH
def test_a_run_saves_within_a_chunk_says_so_and_goes_on(number, tmp_path):
    process, said = started(tmp_path, stdin=subprocess.DEVNULL)
    process.send_signal(number)
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 130 and b"Traceback" not in said
    assert b"--resume run" in said
    (step,) = checkpoint.whole_steps(tmp_path / "run" / "checkpoints")
    assert jaxopt_lab.load_run(tmp_path / "run").step == step


def test_a_terminal_that_is_closed_ends_a_run_that_is_saved(tmp_path):
    """The kernel sends SIGHUP, and from then on every line is an error."""
    terminal, theirs = pty.openpty()
    python, flag, code, *arguments = command(tmp_path)
    own = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    process = subprocess.Popen(
        [python, flag, own + code, *arguments],
        cwd=tmp_path,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    while b"steps/s" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    assert process.wait(60) == 130
    assert checkpoint.whole_steps(tmp_path / "run" / "checkpoints")


def test_two_leave_at_once_and_only_what_is_there_is_called_saved(tmp_path):
    process, said = started(tmp_path)
    # Two kinds, because a second one of a kind may be one with the first.
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 130 and time.monotonic() - begin < 10
    assert b"Traceback" not in said and b"aborted; nothing was saved" in said
