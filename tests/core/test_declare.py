"""What a function may declare of itself."""

import jax.numpy as jnp
import optax
import pytest

from jaxopt_lab.control import early_stopping
from jaxopt_lab.core.declare import Declaration, declare, declared, reads
from jaxopt_lab.core.errors import InputError


def test_a_function_that_declares_nothing_is_what_most_are():
    assert declared(lambda x: x) == Declaration()


def test_an_unknown_thing_to_be_given_is_refused_where_it_is_declared():
    with pytest.raises(ValueError, match=r"given must be of .*got \['sed'\]"):
        declare(given={"seed": "sed"})
    with pytest.raises(TypeError, match="unexpected keyword"):
        declare(plaec="updates")


def test_a_reading_finds_its_state_however_deep_and_says_where_there_is_none():
    tx = optax.chain(optax.sgd(0.1), early_stopping(optax.sgd(0.1), monitor="loss"))
    state = tx.init({"w": jnp.ones(2)})
    assert not declared(early_stopping).stopped(state)
    with pytest.raises(InputError, match="the optimizer's state has no EarlyStoppingState"):
        reads(type(state[1]), "seen")(optax.sgd(0.1).init({"w": jnp.ones(2)}))
