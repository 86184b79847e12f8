"""Norms by layer against closed forms, in every framework, and the verdicts on them."""

import dataclasses
import functools
import itertools

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.diagnostics import activation_health, gradient_flow, judge_gradient_flow
from jaxopt_lab.nn import mlp

WIDTH = 6
X = jax.random.normal(jax.random.key(9), (16, WIDTH))


def orthogonal(seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))[0]


def linear_loss(weights, x, slope):
    """A linear network whose gradient by its output is `slope`."""
    for w in weights:
        x = x @ w
    return jnp.sum(x * slope)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_linear_network_falls_by_the_ratio_of_its_singular_values(dtype):
    # W_l = s_l Q_l: the gradient by W_l has the norm ||x|| ||slope|| prod_{j != l} s_j exactly.
    sizes = 2.0 ** np.arange(8)[::-1] / 16
    weights = [jnp.asarray(s * orthogonal(i), dtype) for i, s in enumerate(sizes)]
    x, slope = jnp.ones((1, WIDTH), dtype), jnp.full((1, WIDTH), 0.5, dtype)
    grads = jax.grad(linear_loss)(weights, x, slope)
    flow = gradient_flow(weights, grads)
    assert flow.layers == tuple("01234567")  # leaves without a parent
    expected = 0.5 * WIDTH * np.prod(sizes) / sizes
    tolerance = 1e-5 if dtype == jnp.float32 else 0.05
    np.testing.assert_allclose(flow.grad_l2, expected, rtol=tolerance)
    np.testing.assert_allclose(flow.param_l2, sizes * WIDTH**0.5, rtol=tolerance)
    np.testing.assert_allclose(flow.grad_rms, expected / WIDTH, rtol=tolerance)
    assert flow.grad_l2.dtype == jnp.float32
    verdict = judge_gradient_flow(flow, per_layer=1.9)
    assert verdict.kind == "vanishing" and verdict.layer == "0" and verdict.remedies
    np.testing.assert_allclose(verdict.evidence["per_layer"], 2, rtol=tolerance)
    np.testing.assert_allclose(verdict.evidence["in_all"], 2**7, rtol=8 * tolerance)
    assert judge_gradient_flow(flow, per_layer=2.2).kind == "healthy"
    backwards = jax.tree.map(lambda a: a[::-1], flow)
    assert judge_gradient_flow(backwards, per_layer=1.9).kind == "exploding"


DEPTH = 30
HE = np.random.default_rng(1).normal(size=(DEPTH, 16, 16)).astype(np.float32) * (2 / 16) ** 0.5


@functools.partial(jax.jit, static_argnums=0)
def deep_grads(activation, weights):
    """By the stacked weights of a deep network."""

    def loss(weights):
        x = jax.random.normal(jax.random.key(0), (32, 16))
        x, _ = jax.lax.scan(lambda x, w: (activation(x @ w), None), x, weights)
        return jnp.square(x - 1).mean()

    return jax.grad(loss)(weights)


def judged(activation, weights):
    grads = deep_grads(activation, weights)
    trees = (
        {f"layer_{i:02}": {"w": np.asarray(w[i])} for i in range(DEPTH)} for w in (weights, grads)
    )
    return judge_gradient_flow(gradient_flow(*trees))


def test_verdicts_on_deep_networks():
    verdict = judged(jax.nn.sigmoid, HE / 2**0.5)
    assert verdict.kind == "vanishing" and verdict.layer == "layer_00"
    assert verdict.evidence["per_layer"] > 4  # the slope of a sigmoid is 1/4 at most
    assert any("orthogonal" in remedy for remedy in verdict.remedies)
    healthy = judged(jax.nn.relu, HE)
    assert healthy.kind == "healthy" and healthy.layer is None and healthy.remedies == ()
    large = judged(jax.nn.relu, 4 * HE)
    assert large.kind == "exploding" and large.layer and any("Clip" in r for r in large.remedies)
    # The gradients by the weights are equal in all layers, and vanish all together.
    assert judged(jax.nn.relu, 0.3 * HE).kind == "vanishing"
    assert judged(jax.nn.relu, 50 * HE).kind == "diverged"  # beyond float32


def test_order_is_that_of_first_use_where_it_is_given():
    model = mlp(1, hidden=(4,) * 11, norm="batch")
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), X, train=True))
    variables = jax.tree.map(lambda s: np.ones(s.shape, s.dtype), variables)
    params, rest = variables["params"], {"batch_stats": variables["batch_stats"]}

    def measured(params):
        health = activation_health(lambda p, x: model.apply({"params": p, **rest}, x), params, X)
        flow = gradient_flow(params, params, order=health.layers)
        return health, flow, gradient_flow(params, params)

    health, flow, tree = jax.eval_shape(measured, params)
    assert health.layers == tuple(f"Dense_{i}" for i in range(12))
    assert [name for name in flow.layers if "Dense" in name] == list(health.layers)
    assert set(flow.layers) == set(params)
    assert tree.layers == tuple(params)
    # A batch normalization has no matrix, and none of its gradients decides.
    assert not any(m for m, n in zip(tree.matrices, tree.layers, strict=True) if "Norm" in n)


def three_frameworks(sizes):
    """(params, apply) of a ReLU network with equal weights, in Linen, NNX and Equinox."""
    rng = np.random.default_rng(4)
    weights = [
        (rng.normal(size=(i, o)).astype(np.float32), rng.normal(size=o).astype(np.float32))
        for i, o in itertools.pairwise(sizes)
    ]
    flax_model = mlp(sizes[-1], hidden=sizes[1:-1])
    params = {f"Dense_{i}": {"kernel": w, "bias": b} for i, (w, b) in enumerate(weights)}
    yield params, lambda p, x: flax_model.apply({"params": p}, x)

    class Net(nnx.Module):
        def __init__(self, rngs):
            for i, (w, _) in enumerate(weights):
                setattr(self, f"Dense_{i}", nnx.Linear(*w.shape, rngs=rngs))

        def __call__(self, x):
            for i in range(len(weights)):
                x = getattr(self, f"Dense_{i}")(nnx.relu(x) if i else x)
            return x

    graph, state = nnx.split(Net(nnx.Rngs(0)))
    nnx.replace_by_pure_dict(state, params)
    yield state, lambda s, x: nnx.merge(graph, s)(x)
    depth = len(weights) - 1
    net = eqx.nn.MLP(sizes[0], sizes[-1], sizes[1], depth, jax.nn.relu, key=jax.random.key(0))
    layers = [
        eqx.tree_at(lambda n: (n.weight, n.bias), layer, (jnp.asarray(w.T), jnp.asarray(b)))
        for layer, (w, b) in zip(net.layers, weights, strict=True)
    ]
    net = eqx.tree_at(lambda n: n.layers, net, tuple(layers))
    yield net, lambda net, x: jax.vmap(net)(x)


def test_frameworks_give_equal_numbers():
    flows, healths = [], []
    for params, apply in three_frameworks((WIDTH, 5, 5, 3)):
        loss = lambda p, x, apply=apply: jnp.square(apply(p, x)).mean()  # noqa: E731
        grads = eqx.filter_jit(eqx.filter_grad(loss))(params, X)
        flows.append(gradient_flow(params, grads, grads))
        healths.append(activation_health(apply, params, X))
    assert flows[0].layers == flows[1].layers == ("Dense_0", "Dense_1", "Dense_2")
    assert flows[2].layers == ("layers/0", "layers/1", "layers/2") == healths[2].layers
    assert healths[0].layers == healths[1].layers == flows[0].layers
    for results in (flows, healths):
        for other in results[1:]:
            assert getattr(other, "names", None) == getattr(results[0], "names", None)
            for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(other), strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-5)
    np.testing.assert_allclose(flows[0].update_ratio, flows[0].grad_l2 / flows[0].param_l2)


def test_jit_equals_eager_and_vmap_equals_one_at_a_time():
    trees = [jax.random.normal(jax.random.key(i), (3, 4, 5)) for i in range(2)]
    params, grads = ({"a": {"w": t, "b": t[..., 0]}, "c": t[..., :1]} for t in trees)
    many = jax.jit(jax.vmap(gradient_flow))(params, grads)
    one = gradient_flow(*jax.tree.map(lambda t: t[1], (params, grads)))
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-6)
    with pytest.raises(InputError, match=r"one network, \(2,\) numbers, got \(3, 2\)"):
        judge_gradient_flow(many)
    with pytest.raises(InputError, match=r"traced.*judge it outside"):
        jax.jit(judge_gradient_flow)(one)


def test_numbers_out_of_the_ordinary():
    huge = {
        "huge": jnp.full((4, 4), 1e30),
        "tiny": jnp.full((4, 4), 1e-30),
        "none": jnp.zeros((0, 3)),
    }
    flow = gradient_flow(huge, huge, huge)
    assert flow.layers == ("huge", "none", "tiny")
    np.testing.assert_allclose(flow.param_l2, [4e30, 0, 4e-30], rtol=1e-6)
    np.testing.assert_allclose(flow.param_rms, [1e30, 0, 1e-30], rtol=1e-6)
    np.testing.assert_allclose(flow.update_ratio, [1, 0, 1], rtol=1e-6)
    assert np.isnan(gradient_flow(huge, huge).update_l2).all()
    zero = gradient_flow({"w": jnp.zeros((2, 2))}, {"w": jnp.ones((2, 2))}, {"w": jnp.ones((2, 2))})
    assert np.isinf(zero.update_ratio[0]) and judge_gradient_flow(zero).kind == "exploding"
    # One layer, at rest.
    rest = gradient_flow({"w": jnp.ones((2, 2))}, {"w": jnp.zeros((2, 2))})
    assert judge_gradient_flow(rest).kind == "vanishing"
    for name in ("param_l2", "grad_l2", "update_l2"):
        row = jnp.asarray([1.0, 1.0, jnp.nan])
        broken = dataclasses.replace(gradient_flow(huge, huge, huge), **{name: row})
        verdict = judge_gradient_flow(broken)
        assert verdict.kind == "diverged" and verdict.layer == "tiny"
        assert verdict.evidence == {"layers_not_finite": 1}


@pytest.mark.usefixtures("x64")
def test_float64():
    tree = {"a": {"w": jnp.full((2, 2), 1 / 3, jnp.float64)}, "n": 3}
    flow = gradient_flow(tree, tree)
    assert flow.grad_l2.dtype == jnp.float64 and flow.layers == ("a",)
    np.testing.assert_allclose(flow.grad_l2, [2 / 3], rtol=1e-15)


def test_partitioned_boxes_are_no_part_of_a_name():
    dense = linen.Dense(
        3, kernel_init=linen.with_partitioning(linen.initializers.ones, (None, "m"))
    )
    params = {"hidden": dense.init(jax.random.key(0), X)["params"]}
    assert gradient_flow(params, params).layers == ("hidden",)


def test_bad_input_is_told():
    w = {"a": {"w": jnp.ones((2, 3))}}
    with pytest.raises(InputError, match="at least one array of floating numbers"):
        gradient_flow({}, {})
    with pytest.raises(InputError, match=r"grads must.*got none for \(2, 3\) at 'a/w'"):
        gradient_flow(w, {})
    with pytest.raises(InputError, match=r"updates must have.*got \(3,\) for \(2, 3\)"):
        gradient_flow(w, w, {"a": {"w": jnp.ones(3)}})
    with pytest.raises(InputError, match="order must be a sequence of paths"):
        gradient_flow(w, w, order="a")
    with pytest.raises(ArgumentError, match="per_layer must be > 1, got 1"):
        judge_gradient_flow(gradient_flow(w, w), per_layer=1)
