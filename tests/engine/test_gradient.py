"""The gradient of a batch in parts, padded and weighted, against sums by hand in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxopt_lab.engine import Batches, Forward, Objective, TrainState, make_curvature
from jaxopt_lab.engine.gradient import make_gradient
from jaxopt_lab.losses import (
    accuracy,
    jensen_shannon,
    l2,
    normal,
    softmax_cross_entropy,
    squared_error,
)
from jaxopt_lab.nn import linear, mlp
from jaxopt_lab.second_order import Curvature

KEY = jax.random.key(0)
ROWS = 10
WEIGHTS = jnp.array([1.0, 9.0, 2.0])


def problem(rows=ROWS, views=1):
    rng = np.random.default_rng(0)
    forward = Forward(mlp(3, hidden=[7]), dtype=jnp.float64)
    batch = {
        "x": jnp.asarray(rng.normal(size=(views * rows, 4))),
        "y": jnp.asarray(rng.integers(0, 3, rows)),
        "weight": jnp.asarray(rng.uniform(0.5, 2, rows)),
    }
    params, state = jax.jit(forward.init)(KEY, batch["x"])
    return forward, jax.tree.map(lambda p: p.astype(jnp.float64), params), state, batch


def close(found, expected):
    """float64, sums in another order."""
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14), found, expected)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("microbatches", [1, 3, 4, 10])
@pytest.mark.parametrize("views", [1, 3])
def test_parts_add_up_to_the_batch(microbatches, views):
    """10 rows in 3 parts are 4, 4 and 2."""
    forward, params, state, batch = problem(views=views)
    objective = Objective(
        softmax_cross_entropy,
        weigh=lambda labels: WEIGHTS[labels],
        consistency=jensen_shannon if views > 1 else None,
        penalty=partial(l2, weight=0.1),
        measures={"accuracy": accuracy},
    )

    def by_hand(params):
        outputs = forward.evaluate(params, state, batch["x"])
        losses = softmax_cross_entropy(outputs[:ROWS], batch["y"])
        total = (losses * WEIGHTS[batch["y"]] * batch["weight"]).sum() / ROWS
        if views > 1:
            total += jensen_shannon(outputs.reshape(views, ROWS, -1)).mean()
        return total + l2(params, weight=0.1)

    gradient = jax.jit(make_gradient(forward, objective, microbatches))
    (value, (row, _)), grads = gradient(params, state, batch, KEY)
    expected, slope = jax.jit(jax.value_and_grad(by_hand))(params)
    close(value, expected)
    close(sum(row[k] for k in row.keys() - {"accuracy"}), expected)
    close(grads, slope)
    right = accuracy(forward.evaluate(params, state, batch["x"])[:ROWS], batch["y"])
    close(row["accuracy"], np.average(right, weights=batch["weight"]))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("microbatches", [1, 3])
def test_padding_is_as_if_it_were_not_there(microbatches):
    forward, params, state, batch = problem()
    objective = Objective(softmax_cross_entropy, measures={"accuracy": accuracy})
    padded = {k: jnp.concatenate([v, v[:4]]) for k, v in batch.items()}
    padded["mask"] = jnp.array([1.0] * ROWS + [0.0] * 4)
    padded["x"] = padded["x"].at[ROWS:].set(1e300)  # whatever is there
    in_parts, whole = (jax.jit(make_gradient(forward, objective, n)) for n in (microbatches, 1))
    close(in_parts(params, state, padded, KEY), whole(params, state, batch, KEY))


@pytest.mark.usefixtures("x64")
def test_a_batch_of_one_shows_its_weight():
    """Over its own weights it would be divided away."""
    forward, params, state, batch = problem()
    objective = Objective(softmax_cross_entropy, weigh=lambda labels: WEIGHTS[labels])
    one = {k: jnp.asarray(v[:1], v.dtype) for k, v in batch.items()} | {"y": jnp.array([1])}
    del one["weight"]
    weighted, plain = (
        jax.jit(make_gradient(forward, each))(params, state, one, KEY)[0][0]
        for each in (objective, Objective(softmax_cross_entropy))
    )
    assert weighted == pytest.approx(9 * plain)


@pytest.mark.parametrize(("rows", "size"), [(10, 4), (10, 5), (3, 3), (7, 1), (5, 4)])
@pytest.mark.parametrize("place", ["device", "host"])
def test_padded_epochs_see_every_sample_once(rows, size, place):
    batches = Batches(size, pad=True)
    data = {"y": jnp.arange(rows)}
    steps, take = batches.steps(rows), jax.jit(batches.take)
    order = jax.jit(batches.order, static_argnums=2)(KEY, jnp.array(0), rows)
    seen = []
    for k in range(steps, 2 * steps):  # of a later epoch
        if place == "host":
            places, mask = batches.places(rows, k)
            taken = (np.arange(rows) if order is None else np.asarray(order))[places]
        else:
            batch = take(data, order, jnp.array(k))
            taken, mask = batch["y"], batch.get("mask")
        assert (mask is None) == (rows % size == 0)
        assert len(taken) == size
        seen += list(np.asarray(taken)[:] if mask is None else np.asarray(taken)[mask > 0])
    assert sorted(int(i) for i in seen) == list(range(rows))


@pytest.mark.usefixtures("x64")
def test_the_curvature_is_of_the_weighted_loss():
    """Of a linear model the Gauss-Newton matrix is the Hessian; float64. Padding counts nothing."""
    rng = np.random.default_rng(1)
    forward = Forward(linear(2), dtype=jnp.float64)
    batch = {
        "x": jnp.asarray(rng.normal(size=(6, 3))),
        "y": jnp.asarray(rng.normal(size=(6, 2))),
        "weight": jnp.asarray(rng.uniform(0.5, 2, 6)),
        "mask": jnp.array([1.0, 1, 1, 1, 0, 0]),
    }
    params, _ = forward.init(KEY, batch["x"])
    params = jax.tree.map(lambda p: p.astype(jnp.float64), params)
    objective = Objective(squared_error, weigh=lambda labels: 1 + (labels[:, 0] > 0))
    curvature_of = make_curvature(forward, objective, Curvature, normal)

    def total(params):
        return objective.terms(forward.evaluate(params, {}, batch["x"]), batch)["loss"]

    flat, back = ravel_pytree(params)
    dense = jax.hessian(lambda v: total(back(v)))(flat)

    def matrix(product):
        return jax.vmap(lambda v: ravel_pytree(product(back(v)))[0])(jnp.eye(len(flat)))

    state = TrainState(jnp.array(0), KEY, params, {}, (), {})
    curvature = curvature_of(state, batch)
    close(curvature.value(), total(params))
    for product in (curvature.hvp, curvature.ggn_vp):
        close(matrix(product), dense)
    close(ravel_pytree(curvature.ggn_diagonal())[0], jnp.diag(dense))

    def drawn(key):
        return matrix(curvature_of(state._replace(key=key), batch).operator("mc"))

    mean = jax.jit(jax.vmap(drawn))(jax.random.split(KEY, 4_000)).mean(0)
    # 4,000 draws of terms whose deviation is about their size.
    np.testing.assert_allclose(mean, dense, atol=5 * float(jnp.abs(dense).max()) / 4_000**0.5)
