"""What SIGINT and SIGTERM do before there is anything to save, and then."""

import os
import signal

import pytest

from jaxopt_lab.run.process.interrupt import catch_interrupts, ending_at_once

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@BOTH
def test_before_there_is_anything_to_save_it_ends_the_command(number):
    before = handlers()
    with pytest.raises(KeyboardInterrupt), ending_at_once():
        os.kill(os.getpid(), number)
    assert handlers() == before


@BOTH
def test_one_that_python_dropped_ends_the_command_at_the_next_chance(number):
    """As where it is raised in a callback of the garbage collector."""
    with ending_at_once():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt), catch_interrupts(print):
            pytest.fail("it was forgotten")


@BOTH
def test_then_the_first_is_a_wish_and_the_second_ends_it(number):
    told = []
    with ending_at_once(), catch_interrupts(told.append) as interrupts:
        assert not interrupts.asked()
        os.kill(os.getpid(), number)
        assert interrupts.asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert len(told) == 1
