"""Trees stacked and taken apart, and states found in the state of a chain."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import find_state, find_states, on_host, stack_trees, take


class Outer(NamedTuple):
    count: Any
    inner: Any


class Other(NamedTuple):
    value: Any


def test_members_of_a_stack_are_the_trees():
    trees = [{"w": jnp.full((2,), i), "b": (jnp.int32(i),)} for i in range(3)]
    stacked = stack_trees(trees)
    assert stacked["w"].shape == (3, 2)
    assert stacked["b"][0].dtype == jnp.int32
    for i, tree in enumerate(trees):
        np.testing.assert_array_equal(take(stacked, i)["w"], tree["w"])
        assert take(stacked, i)["b"] == tree["b"]
    assert take(stacked, slice(1, None))["w"].shape == (2, 2)


def test_states_are_found_in_one_another_and_in_order():
    inner = Outer(1, {"x": Other(2)})
    tree = ({"a": Other(0)}, [Outer(0, inner)], jnp.ones(2))
    assert find_states(tree, Outer) == [tree[1][0], inner]
    assert [s.value for s in find_states(tree, Other)] == [0, 2]
    assert find_states(tree, Outer, Other) == [Other(0), tree[1][0], inner, Other(2)]
    assert find_states(inner, Outer) == [inner]
    assert find_states(jnp.ones(2), Outer) == []


def test_one_state_is_asked_for():
    assert find_state((Other(1), 2), "other", Other) == Other(1)
    with pytest.raises(InputError, match=r"the optimizer's state has no other$"):
        find_state((1, 2), "other", Other)
    with pytest.raises(InputError, match="has 2 of other; there must be one"):
        find_state((Other(1), Other(2)), "other", Other)


def test_a_key_stays_what_it_is_on_the_host():
    key = jax.random.key(1)
    assert on_host(key) is key and isinstance(on_host(jnp.ones(2)), np.ndarray)
