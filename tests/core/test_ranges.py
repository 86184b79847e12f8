"""Ranges in signatures, held to by `checked` and never by looking at an array."""

import inspect
import typing
from collections.abc import Sequence
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab import optimizers
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import MOST_DEPTH, Count, Decay, LearningRate, Positive, Range, checked
from jaxopt_lab.core.registry import lookup


@checked
def example(
    rate: LearningRate,
    beta: Decay = 0.9,
    *,
    sizes: Sequence[Count] = (1,),
    mode: Literal["up", "down"] = "up",
    eps: Positive = 1e-8,
):
    return rate, beta, sizes, mode, eps


def test_a_list_of_sizes_is_as_long_as_a_network_may_be_deep():
    example(1.0, 0.5, sizes=[1] * MOST_DEPTH)
    with pytest.raises(ArgumentError, match="sizes must hold at most 2,000 numbers, got 2,001"):
        example(1.0, 0.5, sizes=[1] * (MOST_DEPTH + 1))


def test_every_wrong_argument_is_named():
    with pytest.raises(ArgumentError) as error:
        example(-1, 1.0, sizes=[3, 0], mode="upp", eps=float("nan"))  # pyright: ignore
    assert error.value.faults == {
        "rate": "must be > 0, got -1",
        "beta": "must be in [0, 1), got 1.0",
        "sizes": "holds a value that must be >= 1, got 0",
        "mode": "must be 'up' or 'down', got 'upp', did you mean 'up'?",
        "eps": "must be > 0, got nan",
    }
    assert "example: rate must be > 0" in str(error.value)


def test_a_number_where_several_are_due():
    with pytest.raises(ArgumentError, match=r"sizes must be a list or tuple, got 3; \(3,\) is one"):
        example(1.0, sizes=3)  # pyright: ignore
    one_or_many = checked(_one_or_many)
    assert one_or_many(0.5) == 0.5
    with pytest.raises(ArgumentError, match=r"x holds a value that must be in \[0, 1\), got 1"):
        one_or_many([1])


def _one_or_many(x: Decay | Sequence[Decay]):
    return x


def test_infinity():
    with pytest.raises(ArgumentError, match="eps must be > 0 and finite, got inf"):
        example(1.0, eps=float("inf"))


def test_numpy_numbers_are_looked_at_and_arrays_and_schedules_are_not():
    with pytest.raises(ArgumentError, match="rate"):
        example(np.float32(-1))
    example(jnp.array(-1.0))
    example(lambda step: -1.0)
    jax.jit(lambda rate: example(rate)[0])(-1.0)


def test_lookup_names_the_nearest():
    assert lookup({"adam": example}, "adam", "optimizer") is example
    with pytest.raises(InputError, match=r"did you mean 'adam'\?; one of adam, sgd"):
        lookup({"adam": example, "sgd": example}, "adan", "optimizer")


def test_help_shows_a_range_by_its_name():
    @checked
    def f(a: Positive, b: Annotated[int, Range(0)] = 4, *, c: bool = True):
        raise NotImplementedError(a, b, c)

    assert str(inspect.signature(f)) == "(a: Positive, b: int >= 0 = 4, *, c: bool = True)"
    assert typing.get_type_hints(f, include_extras=True)["a"] == Positive
    assert len(str(inspect.signature(optimizers.adam))) < 200
