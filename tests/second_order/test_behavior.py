"""What the methods are known for, and what they say where they cannot work."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import SECOND_ORDER as CASES
from second_order.making import cross_entropy, flat, problem

from jaxopt_lab import linalg, losses
from jaxopt_lab import second_order as so
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.problems import quadratic, rosenbrock

KEY = jax.random.key(0)
NO_LABEL = {"y": jnp.zeros(1)}


def of_loss(loss, x):
    """The curvature of `loss(x)`: the outputs are x itself, in a batch of one."""
    return so.Curvature(x, lambda x, batch: x[None], lambda z, y: jax.vmap(loss)(z), NO_LABEL, KEY)


def path(tx, loss, start, steps):
    def body(carry, _):
        x, state = carry
        c = of_loss(loss, x)
        updates, state = tx.update(c.gradient(), state, x, curvature=c)
        x = x + updates
        return (x, state), x

    return jax.jit(lambda x: jax.lax.scan(body, (x, tx.init(x)), None, steps))(start)


@pytest.mark.parametrize(
    "tx",
    [
        so.newton(1.0),
        so.newton(1.0, safeguard="shift"),
        so.newton_cg(1.0, 1e-9, iterations=12),
        so.natural_gradient(1.0, 1e-9, iterations=12),
        so.natural_gradient(1.0, 1e-9, solve="dense"),
        so.diagonal_hessian(1.0, 0.0, 0.0, 1e-9, estimator="exact", rule="damped"),
    ],
)
def test_one_step_solves_a_quadratic(tx):
    start = quadratic(5, condition=100.0)
    (x, _), _ = path(tx, start.loss, start.start, 1)
    # A condition of 100 magnifies float32's roundings to 1e-5.
    np.testing.assert_allclose(x, start.minimizer, rtol=1e-4)


def test_newton_squares_the_error_at_every_step_near_a_minimum():
    valley = rosenbrock()
    _, xs = path(so.newton(1.0), valley.loss, jnp.array([1.02, 1.02]), 3)
    errors = np.linalg.norm(np.asarray(xs) - np.asarray(valley.minimizer), axis=1)
    assert errors[-1] < 1e-5 and errors[1] < errors[0] ** 1.5


@pytest.mark.parametrize(
    "tx", [so.newton(0.5), so.newton_cg(0.5, 0.1), so.newton_cg(0.5, 0.1, adapt_damping=True)]
)
def test_a_saddle_is_left_downhill(tx):
    """f = x^2 - y^2 + y^4 / 2, a saddle at 0 between minima at y = +1 and -1."""

    def loss(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 2

    _, xs = path(tx, loss, jnp.array([0.5, 0.01]), 40)
    np.testing.assert_allclose(xs[-1], [0, 1], atol=1e-2)


def test_newton_cg_says_where_it_met_negative_curvature():
    tx = so.scale_by_newton_cg(0.1)
    state = tx.init(jnp.zeros(2))
    for sign in (1.0, -1.0):
        c = of_loss(lambda x, s=sign: s * (x**2).sum(), jnp.array([1.0, 2.0]))
        g = c.gradient()
        direction, after = tx.update(g, state, curvature=c)
        assert after.negative_curvature == (sign < 0)
        assert direction @ g > 0


@pytest.mark.usefixtures("x64")
def test_natural_gradient_takes_the_same_path_in_other_coordinates_of_a_layer():
    numbers = np.random.default_rng(0)
    x, y = jnp.asarray(numbers.normal(size=(40, 3))), jnp.asarray(numbers.normal(size=(40, 3)))
    first = jnp.asarray(numbers.normal(size=(3, 4)))
    second = jnp.asarray(numbers.normal(size=(4, 3)))
    mixing = jnp.asarray(numbers.normal(size=(3, 3)) + 2 * np.eye(3))

    def squares(z, y):
        return ((z - y) ** 2).sum(1)

    def original(params, batch):
        return jnp.tanh(batch["x"] @ params["a"]) @ params["b"]

    def changed(params, batch):
        return original({"a": mixing @ params["a"], "b": params["b"]}, batch)

    def outputs_along(model_fn, params, tx):
        def body(carry, _):
            params, state = carry
            c = so.Curvature(params, model_fn, squares, {"x": x, "y": y}, KEY)
            updates, state = tx.update(c.gradient(), state, params, curvature=c)
            params = optax.apply_updates(params, updates)
            return (params, state), model_fn(params, c.batch)

        return jax.jit(lambda p: jax.lax.scan(body, (p, tx.init(p)), None, 5))(params)[1]

    here = {"a": first, "b": second}
    there = {"a": jnp.linalg.solve(mixing, first), "b": second}
    natural = so.natural_gradient(0.5, 1e-12, solve="dense")
    a, b = outputs_along(original, here, natural), outputs_along(changed, there, natural)
    assert np.abs(a[-1] - a[0]).max() > 0.1
    # 1e-12 of damping is not the same in other coordinates; nor are roundings.
    np.testing.assert_allclose(a, b, atol=1e-6)
    other = so.diagonal_hessian(0.5, 0.0, 0.0, 0.1, estimator="gauss_newton", rule="damped")
    a, b = outputs_along(original, here, other), outputs_along(changed, there, other)
    assert np.abs(a - b).max() > 0.1


@pytest.mark.parametrize(
    ("loss", "sample"),
    [
        (losses.softmax_cross_entropy, so.categorical),
        (losses.squared_error, so.normal),
        (losses.logistic, so.bernoulli),
    ],
)
def test_the_fisher_of_drawn_labels_is_the_gauss_newton_matrix_on_average(loss, sample):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
    label = jnp.zeros((4, 3)).at[:, 0].set(1)

    def model_fn(w, batch):
        return batch["x"] @ w

    w = jnp.linspace(-1, 1, 6).reshape(2, 3)
    c = so.Curvature(w, model_fn, loss, {"x": x, "y": label}, KEY, sample)

    @jax.jit
    def drawn(keys):
        def one(key):
            return linalg.dense(dataclasses.replace(c, key=key).operator("mc"), w)

        return jax.vmap(one)(keys), linalg.dense(c.operator("ggn"), w)

    fishers, ggn = drawn(jax.random.split(KEY, 1000))
    # squared_error has a Hessian of 2 and slopes 2 (z - y) of variance 2: no factor is left over.
    error = np.asarray(fishers).std(0) / np.sqrt(1000)
    assert (np.abs(fishers.mean(0) - ggn) < 5 * error + 1e-5).all()


def test_the_gradient_that_is_given_is_the_right_hand_side():
    params, c = problem()
    grads = jax.tree.map(jnp.ones_like, params)
    tx = so.scale_by_natural_gradient(1.0, solve="dense")
    found = flat(jax.jit(lambda g, c: tx.update(g, tx.init(g), curvature=c)[0])(grads, c))
    ggn = np.asarray(jax.jit(lambda c: linalg.dense(c.operator("ggn"), params))(c))
    expected = np.linalg.solve(ggn + np.eye(len(ggn)), np.ones(len(ggn)))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("make", [so.natural_gradient, so.newton_cg])
def test_damping_falls_while_the_model_is_right_and_grows_where_it_is_wrong(make):
    def damping(loss, start, rate):
        (x, state), _ = path(make(rate, 1.0, adapt_damping=True), loss, start, 2)
        return state.inner.damping, loss(x)

    right = quadratic(3)
    lam, value = damping(right.loss, right.start, 1.0)
    assert lam == pytest.approx(1 / 1.5**2, rel=1e-5) and value < right.loss(right.start)
    # A hundred times too long: uphill, not taken.
    lam, value = damping(right.loss, right.start, 100.0)
    assert lam == pytest.approx(4**2, rel=1e-5) and value == right.loss(right.start)


def test_what_the_gradient_holds_beyond_the_objective_does_not_stop_the_damped_step():
    """A penalty's gradient alone, at the objective's minimum: every step raises the objective."""
    tx = so.scale_by_natural_gradient(1.0, adapt_damping=True)
    c = of_loss(lambda x: (x**2).sum(), jnp.zeros(2))
    direction, after = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)), curvature=c)
    np.testing.assert_allclose(direction, 1 / 3, rtol=1e-5)  # (2 + 1)^-1
    assert after.damping == pytest.approx(1 / 1.5, rel=1e-5)


def test_one_trace_serves_every_step():
    _, c = problem()
    traces = 0

    @jax.jit
    def product(c, v):
        nonlocal traces
        traces += 1
        return c.ggn_vp(v)

    for step in range(3):
        product(dataclasses.replace(c, key=jax.random.key(step)), c.params)
    assert traces == 1


def test_each_lane_has_its_own_probes_and_labels():
    params, c = problem()
    grads = jax.jit(c.gradient)()
    keys = jax.random.split(jax.random.key(1), 3)
    for tx in (so.diagonal_hessian(0.1), so.natural_gradient(0.1, fisher="mc", solve="woodbury")):

        def one(key, tx=tx):
            lane = dataclasses.replace(c, key=key)
            return tx.update(grads, tx.init(params), params, curvature=lane)[0]

        found = jax.tree.leaves(jax.jit(jax.vmap(one))(keys))[0]
        assert not np.allclose(found[0], found[1]) and not np.allclose(found[1], found[2])


def test_restricted_twice_is_the_smaller_part():
    _, c = problem()
    part = c.restrict({"Dense_0": True, "Dense_1": False})
    assert jax.tree.structure(c.restrict(lambda p: {"Dense_0": True, "Dense_1": False})) == (
        jax.tree.structure(part)
    )
    less = part.restrict({"Dense_0": {"kernel": True, "bias": False}, "Dense_1": False})
    assert [x.shape for x in jax.tree.leaves(less.variables)] == [(3, 4)]
    np.testing.assert_allclose(less.value(), c.value(), rtol=1e-6)
    assert flat(less.gradient()).shape == (12,)
    found, whole = (x.gradient()["Dense_0"]["kernel"] for x in (less, c))
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-7)
    assert c.restrict(None) is c


def test_the_gradient_noise_scale_of_known_noise():
    """Gradients are x - w, for x normal with variance 4 in 8 directions around a mean at 1.

    tr(Sigma) = 32, |G|^2 = 8: a scale of 4.
    """
    tx = optax.chain(optax.clip_by_global_norm(1e6), so.gradient_variance(1e-6, b2=0.999))
    w = jnp.zeros(8)

    def body(state, key):
        x = 1 + 2 * jax.random.normal(key, (16, 8))

        def loss(z, y):
            return 0.5 * ((z - y) ** 2).sum(1)

        def model_fn(w, batch):
            return jnp.broadcast_to(w, batch["y"].shape[:1] + w.shape)

        c = so.Curvature(w, model_fn, loss, {"y": x}, key)
        return tx.update(c.gradient(), state, w, curvature=c)[1], None

    assert so.gradient_noise_scale(tx.init(w)) == 0
    keys = jax.random.split(KEY, 400)
    state = jax.jit(lambda s: jax.lax.scan(body, s, keys)[0])(tx.init(w))
    # |G|^2 is estimated with a standard deviation of 4 sqrt(8) sqrt(4/16) / sqrt(400): 4 %.
    np.testing.assert_allclose(so.gradient_noise_scale(state), 4.0, rtol=0.15)


@pytest.mark.usefixtures("x64")
def test_the_noise_scale_of_mean_and_spread_is_that_of_the_covariance():
    rng = np.random.default_rng(0)
    rows = 0.5 + rng.standard_normal((9, 7))  # (samples, parameters)
    grads = {"w": jnp.asarray(rows[:, :6].reshape(9, 2, 3)), "b": jnp.asarray(rows[:, 6:])}
    means = jax.tree.map(lambda g: g.mean(0), grads)
    mean = sum(rows) / 9
    trace = sum((row - mean) @ (row - mean) for row in rows) / 8
    expected = trace / (mean @ mean - trace / 9)
    spread = ((rows - mean) ** 2).sum()
    np.testing.assert_allclose(so.noise_scale(means, spread, 9), expected, rtol=1e-12)
    # One sample shows no noise; around a mean of zero nothing but noise shows.
    assert so.noise_scale({"w": jnp.ones(3)}, jnp.zeros([]), 1) == 0
    assert so.noise_scale({"w": jnp.zeros(3)}, jnp.asarray(6.0), 2) == jnp.inf
    assert so.noise_scale({"w": jnp.zeros(3)}, jnp.zeros([]), 2) == 0


def test_the_noise_scale_needs_one_gradient_variance():
    params = {"w": jnp.ones(2)}
    one = so.gradient_variance(0.1)
    with pytest.raises(InputError, match="has no gradient_variance"):
        so.gradient_noise_scale(optax.sgd(0.1).init(params))
    with pytest.raises(InputError, match="has 2 of gradient_variance"):
        so.gradient_noise_scale(optax.chain(one, one).init(params))


def test_says_what_is_wrong_and_what_to_do():
    params, c = problem()
    for tx, remedy in (
        (so.newton(1.0, max_params=10), "newton: 31 parameters .* use newton_cg"),
        (so.natural_gradient(1.0, solve="dense", max_params=10), "use solve='cg'"),
        (so.diagonal_hessian(1.0, estimator="exact", max_params=10), "estimator='hutchinson'"),
    ):
        with pytest.raises(InputError, match=remedy):
            tx.update(params, tx.init(params), params, curvature=c)
    with pytest.raises(ArgumentError, match=r"'woodbury' needs .*'mc' or 'empirical'"):
        so.natural_gradient(1.0, fisher="ggn", solve="woodbury")
    with pytest.raises(ArgumentError, match="must be 'hessian', 'ggn', 'mc' or 'empirical'"):
        c.operator("gnn")


@pytest.mark.parametrize("name", so.SECOND_ORDER)
def test_jit_equals_eager(name):
    valley = rosenbrock(1.0)
    tx, c = so.SECOND_ORDER[name](**CASES[name]), of_loss(valley.loss, valley.start)
    g = jax.grad(valley.loss)(valley.start)
    state = tx.init(valley.start)
    update = functools.partial(tx.update, params=valley.start)
    # Fusion reorders float32's roundings, and a solve magnifies them.
    for a, b in zip(
        jax.tree.leaves(jax.jit(lambda g, s, c: update(g, s, curvature=c))(g, state, c)),
        jax.tree.leaves(update(g, state, curvature=c)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_model_that_computes_in_bfloat16():
    params, c = problem()

    def half(params, batch):
        return c.model_fn(params, batch).astype(jnp.bfloat16)

    rough = dataclasses.replace(c, model_fn=half)
    for kind in ("hessian", "ggn", "mc", "empirical"):
        found, exact = (jax.jit(lambda c, k=kind: c.operator(k)(params))(x) for x in (rough, c))
        assert {x.dtype for x in jax.tree.leaves(found)} == {jnp.dtype(jnp.float32)}
        size = np.abs(flat(exact)).max()
        # bfloat16 has 8 bits; the Hessian's sums cancel some of them.
        np.testing.assert_allclose(flat(found), flat(exact), atol=0.1 * size)


def test_the_losses_of_the_package_fit():
    params, c = problem()
    other = dataclasses.replace(c, output_loss=losses.softmax_cross_entropy)
    v = jax.tree.map(jnp.ones_like, params)
    found = jax.jit(lambda c: (c.value(), c.ggn_vp(v), c.hvp(v)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found(other), found(c)
    )
    assert c.output_loss is cross_entropy
