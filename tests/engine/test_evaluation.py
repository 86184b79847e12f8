"""Evaluation against one pass over everything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.engine import (
    Forward,
    Objective,
    channel_statistics,
    in_batches,
    make_evaluate,
    make_normalize,
)
from jaxopt_lab.losses import accuracy, softmax_cross_entropy
from jaxopt_lab.nn import cnn

OBJECTIVE = Objective(softmax_cross_entropy, measures={"accuracy": accuracy})
METRICS = {"loss": softmax_cross_entropy, "accuracy": accuracy}


@pytest.fixture(scope="module", name="problem")
def _problem():
    rng = np.random.default_rng(0)
    data = {
        "x": rng.integers(0, 256, (23, 5, 5, 2)).astype(np.uint8),
        "y": rng.integers(0, 3, 23).astype(np.int32),
    }
    model = cnn(3, channels=[4])
    variables = dict(model.init(jax.random.key(0), jnp.zeros((1, 5, 5, 2))))
    return data, model, variables.pop("params"), variables


@pytest.mark.parametrize("in_loop", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, 23, 40])
def test_the_ragged_last_batch_counts_as_much_as_it_holds(problem, batch_size, in_loop):
    data, model, params, state = problem
    normalize = make_normalize(*channel_statistics(data["x"]))
    evaluate = make_evaluate(Forward(model, normalize), OBJECTIVE, in_loop=in_loop)
    found = evaluate(params, state, in_batches(data, batch_size))
    outputs = model.apply({"params": params, **state}, normalize(jnp.asarray(data["x"])))
    for name, metric in METRICS.items():
        # A sum in another order.
        assert found[name] == pytest.approx(float(metric(outputs, data["y"]).mean()), rel=1e-5)


def test_padding_cannot_poison_the_mean(problem):
    data, model, params, state = problem

    def fragile(outputs, labels):
        first = (labels == data["y"][-1]) & (jnp.arange(len(labels)) > 2)
        return jnp.where(first, jnp.nan, 1.0)

    batches = in_batches({k: v[-3:] for k, v in data.items()}, 8)
    evaluate = make_evaluate(Forward(model, lambda x: x / 255), Objective(fragile))
    assert evaluate(params, state, batches)["loss"] == 1.0


def test_channel_statistics_are_exact():
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 6, 3)).astype(np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)), rtol=1e-6)


def test_normalize_takes_uint8_and_float_alike_and_spares_constant_channels():
    images = np.zeros((4, 3, 3, 2), np.uint8)
    images[..., 1] = np.arange(36).reshape(4, 3, 3)
    normalize = make_normalize(*channel_statistics(images))
    x = normalize(jnp.asarray(images))
    np.testing.assert_allclose(x, normalize(jnp.asarray(images / 255, jnp.float32)), atol=1e-5)
    assert np.isfinite(x).all()
    np.testing.assert_allclose(x[..., 1].std(), 1, rtol=1e-5)
