"""When a run was lost, told from its losses, wherever the chunks of its steps end."""

import numpy as np
import pytest

from jaxopt_lab.engine.lost_run import alive_and_step

NAN, INF = np.nan, np.inf
LOSS = np.array([1.0, NAN, 2.0, INF, NAN, NAN, NAN, NAN], np.float32)


@pytest.mark.parametrize("end", range(5, 9))
def test_it_is_the_first_step_of_those_that_are_not_finite_any_more(end):
    alive, step = alive_and_step(False, 100 + end, LOSS, 100, end)
    assert (bool(alive), int(step)) == (False, 104)


def test_a_bad_batch_may_pass():
    assert [*map(int, alive_and_step(True, 102, LOSS, 100, 2))] == [1, 102]
    assert [*map(int, alive_and_step(False, 103, LOSS, 100, 3))] == [1, 103]


def test_of_a_run_that_has_stopped_what_follows_is_nothing():
    assert [*map(int, alive_and_step(False, 103, LOSS, 100, 8))] == [1, 103]
    assert [*map(int, alive_and_step(False, 100, LOSS, 100, 8))] == [1, 100]
