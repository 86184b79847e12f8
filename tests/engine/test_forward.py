"""Whoever applies the model sees the same network: the step, the curvature, an evaluation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.tree import size_bytes
from jaxopt_lab.engine import Forward, Objective, init_state, make_curvature, make_step
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import mlp, resnet
from jaxopt_lab.optimizers import sgd
from jaxopt_lab.second_order import Curvature

KEY = jax.random.key(3)


def state_and_batch(forward):
    rng = np.random.default_rng(0)
    batch = {"x": jnp.asarray(rng.normal(size=(16, 6)), jnp.float32), "y": jnp.arange(16) % 3}
    return init_state(KEY, forward, sgd(0.1), batch["x"]), batch


def test_the_curvature_sees_the_dropout_of_the_step():
    forward = Forward(mlp(3, hidden=[32], dropout=0.5), lambda x: 2 * x)
    state, batch = state_and_batch(forward)
    step = make_step(forward, Objective(softmax_cross_entropy), sgd(0.1))
    curvature = make_curvature(forward, Objective(softmax_cross_entropy), Curvature)
    losses = []
    for _ in range(2):
        value = curvature(state, batch).value()
        state, row = step(state, batch)
        # One program and many: float32 rounding. Another mask would differ in the first digit.
        np.testing.assert_allclose(value, row["loss"], rtol=1e-5)
        losses.append(float(value))
    assert abs(losses[0] - losses[1]) > 1e-3, "each step has a mask of its own"


class Counting(nn.Module):
    """Counts its passes in training, and says which dtype it was given."""

    @nn.compact
    def __call__(self, x, *, train=False):
        count = self.variable("counts", "passes", lambda: jnp.zeros([], jnp.int32))
        if train:
            count.value += 1
        kernel = self.param("kernel", nn.initializers.ones, (x.shape[-1], 2))
        assert kernel.dtype == x.dtype or self.is_initializing()
        return x @ kernel


def test_every_collection_travels_and_the_dtype_is_that_of_the_computation():
    forward = Forward(Counting(), dtype=jnp.bfloat16)
    x = jnp.ones((2, 3))
    params, model_state = forward.init(KEY, x)
    outputs, after = forward.train(params, model_state, x, KEY)
    assert outputs.dtype == jnp.bfloat16 and params["kernel"].dtype == jnp.float32
    assert after["counts"]["passes"] == 1 and model_state["counts"]["passes"] == 0
    np.testing.assert_array_equal(forward.evaluate(params, after, x), outputs)


@pytest.mark.parametrize(
    "model",
    [mlp(3, hidden=[32, 32], norm="batch", dropout=0.3), resnet(3, depth=8, width=4)],
    ids=["mlp", "resnet"],
)
def test_what_is_computed_again_is_the_same_and_takes_less(model):
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 8, 8, 1)), jnp.float32)
    kept, found = [], []
    for remat in (False, True):
        forward = Forward(model, remat=remat)
        params, model_state = forward.init(KEY, x)

        def loss(params, forward=forward, model_state=model_state):
            outputs, after = forward.train(params, model_state, x, KEY)
            return (outputs**2).sum(), after

        found.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(params))
        residuals = jax.eval_shape(lambda p, loss=loss: jax.vjp(loss, p, has_aux=True)[1], params)
        kept.append(size_bytes(residuals))
    assert kept[1] < 0.6 * kept[0]
    # float32, in programs that fuse otherwise.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), *found)
