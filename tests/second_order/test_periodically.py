"""Work in some steps only: what it gives, and when it is done."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.second_order.periodically import periodically


def counted(calls):
    """`(count, x) -> 2 x` at every third count, else -x, and notes each time that it computes."""

    def f(count, x):
        def compute():
            jax.debug.callback(lambda: calls.append(1))
            return {"twice": 2 * x}

        return periodically(count % 3 == 0, compute, {"twice": -x})["twice"]

    return f


@pytest.mark.parametrize("lanes", [(), (4,), (2, 4)])
def test_computes_only_when_it_is_due_whatever_is_vmapped(lanes):
    calls = []
    f = counted(calls)
    for _ in lanes:
        f = jax.vmap(f)
    x = jnp.arange(1.0, 1 + np.prod(lanes, dtype=int)).reshape(lanes)
    f = jax.jit(f)
    for count, factor in ((0, 2.0), (1, -1.0), (2, -1.0), (3, 2.0)):
        calls.clear()
        np.testing.assert_array_equal(f(jnp.full(lanes, count), x), factor * x)
        jax.effects_barrier()
        assert bool(calls) == (factor == 2.0)


def test_lanes_that_count_differently_each_keep_their_own():
    calls = []
    found = jax.jit(jax.vmap(counted(calls)))(jnp.arange(4), jnp.ones(4))
    np.testing.assert_array_equal(found, [2.0, -1.0, -1.0, 2.0])


def test_in_a_scan_under_vmap_with_values_closed_over():
    def final(y, start):
        def body(carry, _):
            count, x = carry
            x = periodically(count % 2 == 0, lambda: x + y, x)
            return (count + 1, x), None

        return jax.lax.scan(body, (start, jnp.zeros(())), None, 5)[0][1]

    y, starts = jnp.arange(3.0), jnp.zeros(3, jnp.int32)
    np.testing.assert_array_equal(jax.jit(jax.vmap(final))(y, starts), 3 * y)
