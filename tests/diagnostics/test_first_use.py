"""The order in which models use their parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.diagnostics import first_use
from jaxopt_lab.engine import Forward
from jaxopt_lab.nn import mlp, resnet

X = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)


def order_of(model):
    forward = Forward(model)
    return first_use(forward.evaluate, *jax.eval_shape(forward.init, jax.random.key(0), X), X)


def layers(names):
    return list(dict.fromkeys(name.rpartition("/")[0] for name in names))


class Reversed(nn.Module):
    """Its layers are named against the order of their use, one of them twice."""

    @nn.compact
    def __call__(self, x, *, train=False):
        shared = nn.Dense(6, name="b")
        x = nn.Dense(6, name="z")(x.reshape(len(x), -1))
        x = nn.remat(nn.Dense)(6, name="y")(shared(x))
        x = jax.lax.cond(x.sum() > 0, lambda v: v, lambda v: -v, x)
        return nn.Dense(2, name="a")(shared(x))


def test_by_use_and_not_by_name():
    assert layers(order_of(Reversed())) == ["z", "b", "y", "a"]
    assert layers(order_of(mlp(3, hidden=[4] * 11)))[-2:] == ["Dense_10", "Dense_11"]


def test_a_resnet_begins_at_its_stem():
    found = layers(order_of(resnet(3, depth=8, width=4)))
    assert found[0].startswith("Conv") and found[-1].startswith("Dense")
    assert len(found) == len(set(found))


@pytest.mark.parametrize("loop", ["scan", "while", "map"])
def test_casts_are_no_use_and_loops_are_read(loop):
    params = {"a": jnp.ones(3), "b": jnp.ones(3), "c": jnp.ones(3)}

    def function(params, x):
        params = cast_floating(params, jnp.bfloat16)
        x = x * params["c"].reshape(3)

        def body(x, _=None):
            return x + params["b"], None

        if loop == "scan":
            x, _ = jax.lax.scan(body, x, length=2)
        elif loop == "while":
            x = jax.lax.while_loop(lambda x: (x < 3).all(), lambda x: body(x)[0], x)
        else:
            x = jax.lax.map(lambda v: (v + params["b"]).sum(), x[None])
        return x * params["a"].sum()

    assert first_use(function, params, jnp.ones(3, jnp.bfloat16)) == ["c", "b", "a"]
