"""K-FAC against its equations written out, and against kfac-jax."""

import dataclasses

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from second_order.making import cross_entropy, flat, problem

from jaxopt_lab import second_order as so
from jaxopt_lab.second_order import KfacState, ScaleByKfacState


def inverse(matrix, shift):
    return np.linalg.inv(matrix + shift * np.eye(len(matrix)))


def reference(grads, factors, rates):
    """Steps of K-FAC in numpy, float64, from each step's gradients and factors.

    Inverses every 2 steps, moving averages of decay 0.9, damping 0.05, momentum 0.8, norm 0.02.
    """
    averages, inverses, velocity, found, weight = {}, {}, {}, [], 0.0
    for step, (grad, new, rate) in enumerate(zip(grads, factors, rates, strict=True)):
        weight = 0.9 * weight + 0.1
        u = {}
        for name, pair in new.items():
            old = averages.get(name, (0, 0))
            pair = [
                0.9 * o + 0.1 * np.asarray(f, np.float64) for o, f in zip(old, pair, strict=True)
            ]
            averages[name] = pair
            if step % 2 == 0:
                a, g = (f / weight for f in pair)
                pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(g) / len(g)))
                inverses[name] = inverse(a, pi * 0.05**0.5), inverse(g, 0.05**0.5 / pi)
            layer = name.partition("/")[0]
            rows = np.concatenate([grad[layer]["kernel"], grad[layer]["bias"][None]])
            u[layer] = inverses[name][0] @ rows @ inverses[name][1]
        product = sum(
            (u[k] * np.concatenate([grad[k]["kernel"], grad[k]["bias"][None]])).sum() for k in u
        )
        nu = min(1.0, (0.02 / (rate**2 * product)) ** 0.5)
        velocity = {k: 0.8 * velocity.get(k, 0) - rate * nu * u[k] for k in u}
        found.append({k: {"kernel": v[:-1], "bias": v[-1]} for k, v in velocity.items()})
    return found


def test_steps_are_those_of_the_equations():
    params, curvature = problem()
    rates = [0.05, 2.0, 0.5, 0.5, 0.1]  # the norm constraint acts at the second
    tx = so.kfac(
        lambda k: jnp.array(rates)[k],
        damping=0.05, decay=0.9, every=2, momentum=0.8, norm_constraint=0.02, kind="empirical",
    )  # fmt: skip

    @jax.jit
    def step(params, state):
        c = dataclasses.replace(curvature, params=params)
        grads = c.gradient()
        updates, state = tx.update(grads, state, params, curvature=c)
        factors = c.kron_factors(kind="empirical").layers
        return optax.apply_updates(params, updates), state, (updates, grads, factors)

    state, rows = tx.init(params), []
    for _ in rates:
        params, state, row = step(params, state)
        rows.append(jax.device_get(row))
    updates, grads, factors = zip(*rows, strict=True)
    for found, expected in zip(updates, reference(grads, factors, rates), strict=True):
        # float32 inverses of matrices with a condition of some hundreds.
        np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-3, atol=1e-5)


def test_factors_and_inverses_are_computed_when_they_are_due():
    params, curvature = problem()
    tx = so.kfac(0.1, every=3, factors_every=2)

    def scanned(params, keys):
        def body(carry, key):
            params, state = carry
            c = dataclasses.replace(curvature, params=params, key=key)
            updates, state = tx.update(c.gradient(), state, params, curvature=c)
            params = optax.apply_updates(params, updates)
            inner = state.preconditioner
            return (params, state), (inner.moments.layers, inner.inverses)

        return jax.lax.scan(body, (params, tx.init(params)), keys)[1]

    keys = jax.random.split(jax.random.key(0), 7)
    alone = jax.jit(scanned)(params, keys)
    together = jax.jit(jax.vmap(scanned, (None, 0)))(params, jnp.stack([keys, keys[::-1]]))
    for period, tree, lanes in zip((2, 3), alone, together, strict=True):
        for x, y in zip(jax.tree.leaves(tree), jax.tree.leaves(lanes), strict=True):
            changed = [bool((x[k] != x[k - 1]).any()) for k in range(1, 7)]
            assert changed == [k % period == 0 for k in range(1, 7)]
            np.testing.assert_allclose(y[0], x, rtol=1e-3, atol=1e-3)


def test_a_bias_or_a_kernel_alone():
    params, curvature = problem()
    tx = so.kfac(0.1, damping=0.1, momentum=0.0, norm_constraint=None, kind="empirical")
    only = ("Dense_0/bias",)

    @jax.jit
    def parts(curvature):
        factors = curvature.kron_factors(kind="empirical").layers["Dense_0/kernel"]
        diagonal = curvature.kron_factors(kind="empirical", only=only).diagonal
        return curvature.gradient(), factors, diagonal[only[0]]

    grads, (a, g), d = parts(curvature)
    masks = {"kernel": True, "bias": False}, {"kernel": False, "bias": True}
    found = []
    for chosen in masks:
        mask = {"Dense_0": chosen, "Dense_1": {"kernel": False, "bias": False}}
        masked = optax.masked(tx, mask)
        state = masked.init(params)
        update = jax.jit(lambda g, s, c, tx=masked: tx.update(g, s, params, curvature=c))
        updates, _ = update(grads, state, curvature)
        found.append(updates["Dense_0"])
    a = np.asarray(a, np.float64)[:-1, :-1]
    pi = np.sqrt((np.trace(a) / 3) / (np.trace(g) / 4))
    expected = inverse(a, pi * 0.1**0.5) @ grads["Dense_0"]["kernel"] @ inverse(g, 0.1**0.5 / pi)
    np.testing.assert_allclose(found[0]["kernel"], -0.1 * expected, rtol=1e-3, atol=1e-6)
    expected = -0.1 * grads["Dense_0"]["bias"] / (d + 0.1)
    np.testing.assert_allclose(found[1]["bias"], expected, rtol=1e-4)


def without_flax(params, batch):
    return batch["x"] @ params["w"] + (batch["x"] @ params["kernel"]).sum(1, keepdims=True)


def test_large_layers_and_bare_parameters_have_a_diagonal():
    params, curvature = problem()
    state = jax.eval_shape(so.kfac(0.1, max_size=3).init, params)
    assert isinstance(state, KfacState) and isinstance(state.preconditioner, ScaleByKfacState)
    assert state.preconditioner.inverses == {}
    bare = {"w": jnp.ones((3, 3)), "kernel": jnp.ones((3, 2))}
    c = dataclasses.replace(curvature, params=bare, model_fn=without_flax)
    tx = so.kfac(0.1, damping=0.1, momentum=0.0, norm_constraint=None)

    @jax.jit
    def step(c):
        grads = c.gradient()
        updates, _ = tx.update(grads, tx.init(bare), bare, curvature=c)
        return updates, grads, c.kron_factors().diagonal

    updates, grads, d = step(c)
    expected = jax.tree.map(lambda g, d: -0.1 * g / (d + 0.1), grads, d)
    np.testing.assert_allclose(flat(updates), flat(expected), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("wrong", [jnp.nan, jnp.inf])
def test_a_batch_that_is_not_finite_leaves_no_trace_in_the_factors(wrong):
    params, curvature = problem()
    tx = so.kfac(0.1)
    update = jax.jit(lambda g, s, p, c: tx.update(g, s, p, curvature=c))
    grads = curvature.gradient()
    _, state = update(grads, tx.init(params), params, curvature)
    images = curvature.batch["x"].at[0, 0].set(wrong)
    broken = dataclasses.replace(curvature, batch={**curvature.batch, "x": images})
    _, after = update(grads, state, params, broken)
    before, after = state.preconditioner, after.preconditioner
    for x, y in zip(
        jax.tree.leaves(before._replace(count=after.count)), jax.tree.leaves(after), strict=True
    ):
        np.testing.assert_array_equal(x, y)


SETTINGS = {"damping": 0.01, "norm_constraint": 0.01}
# Parameters after 4 steps of kfac-jax 0.0.8 on jax 0.8.1, which is the newest that it runs with.
KFAC_JAX = [
    *(0.563692494, -1.587416832, -1.889647817, -0.997008314, 0.937636666, -0.339262371),
    *(0.041770946, -1.196030404, -1.405581938, 0.557945989, 0.175239824, 1.116794672),
    *(0.599680421, -0.586860457, -0.937666336, -0.377090552, 0.499308692, -0.375153223),
    *(0.421980029, 1.328788383, -0.03093576, -0.584746727, -0.873266942, -0.365072831),
    *(1.023070263, 0.623274583),
]


class Small(fnn.Module):
    """3-4-2, tanh."""

    @fnn.compact
    def __call__(self, x):
        options = {"dtype": x.dtype, "param_dtype": x.dtype}
        return fnn.Dense(2, name="out", **options)(
            jnp.tanh(fnn.Dense(4, name="hidden", **options)(x))
        )


def fixed_problem():
    """Parameters, images and labels by formula."""
    params = {
        name: {
            "kernel": jnp.sin(jnp.arange(1.0, 1 + rows * columns).reshape(rows, columns)),
            "bias": jnp.cos(jnp.arange(1.0, 1 + columns)),
        }
        for name, rows, columns in (("hidden", 3, 4), ("out", 4, 2))
    }
    return params, jnp.sin(jnp.arange(30.0) ** 2).reshape(10, 3), jnp.arange(10) % 2


def fixed_curvature(params, x, labels):
    def model_fn(params, batch):
        return Small().apply({"params": params}, batch["x"])

    batch = {"x": x, "y": labels}
    return so.Curvature(params, model_fn, cross_entropy, batch, jax.random.key(0))


@pytest.mark.usefixtures("x64")
def test_steps_are_those_of_kfac_jax():
    params, x, labels = fixed_problem()
    tx = so.kfac(0.1, every=2, kind="ggn", **SETTINGS)

    @jax.jit
    def step(params, state):
        c = fixed_curvature(params, x, labels)
        updates, state = tx.update(c.gradient(), state, params, curvature=c)
        return optax.apply_updates(params, updates), state

    state = tx.init(params)
    for _ in range(4):
        params, state = step(params, state)
    # The record has nine decimals.
    np.testing.assert_allclose(flat(params), KFAC_JAX, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_two_steps_are_the_equations_in_double_precision():
    """Of the record's problem, from the factors on; a damping that float32 does not have."""
    params, x, labels = fixed_problem()
    eta, beta, damping, decay, constraint = 0.1, 0.9, 0.013, 0.95, 1e-3
    tx = so.kfac(eta, damping=damping, decay=decay, every=1, kind="ggn", norm_constraint=constraint)

    @jax.jit
    def step(params, state):
        c = fixed_curvature(params, x, labels)
        grads = c.gradient()
        return *tx.update(grads, state, params, curvature=c), grads, c.kron_factors(kind="ggn")

    state, sums, velocity = tx.init(params), {}, {}
    for t in (1, 2):
        updates, state, grads, factors = jax.device_get(step(params, state))
        directions, length = {}, 0
        for name, (a, g) in factors.layers.items():
            layer = name.split("/")[0]
            old = sums.get(name, (0, 0))
            sums[name] = [decay * o + (1 - decay) * f for o, f in zip(old, (a, g), strict=True)]
            a, g = (s / (1 - decay**t) for s in sums[name])
            pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(g) / len(g)))
            rows = np.concatenate([grads[layer]["kernel"], grads[layer]["bias"][None]])
            left = np.linalg.inv(a + pi * np.sqrt(damping) * np.eye(len(a)))
            right = np.linalg.inv(g + np.sqrt(damping) / pi * np.eye(len(g)))
            directions[layer] = left @ rows @ right
            length += eta**2 * (rows * directions[layer]).sum()
        for layer, u in directions.items():
            shrunk = eta * min(1, np.sqrt(constraint / length)) * u
            velocity[layer] = beta * velocity.get(layer, 0) - shrunk
            found = np.concatenate([updates[layer]["kernel"], updates[layer]["bias"][None]])
            # Inverses of matrices with a condition below 100.
            np.testing.assert_allclose(found, velocity[layer], rtol=1e-11, atol=1e-13)
        params = optax.apply_updates(params, updates)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("x64")
def test_the_record_is_of_kfac_jax():
    kfac_jax = pytest.importorskip("kfac_jax")
    params, x, labels = fixed_problem()

    def objective(params, batch):
        x, labels = batch
        hidden, out = params["hidden"], params["out"]
        z = jnp.tanh(x @ hidden["kernel"] + hidden["bias"]) @ out["kernel"] + out["bias"]
        kfac_jax.register_softmax_cross_entropy_loss(z, labels)
        return cross_entropy(z, labels).mean()

    optimizer = kfac_jax.Optimizer(
        jax.value_and_grad(objective),
        l2_reg=0.0,
        estimation_mode="fisher_exact",
        initial_damping=SETTINGS["damping"],
        norm_constraint=SETTINGS["norm_constraint"],
        curvature_ema=0.95,
        inverse_update_period=2,
        num_burnin_steps=0,
    )
    with jax.numpy_rank_promotion("allow"):
        key = jax.random.PRNGKey(0)
        state = optimizer.init(params, key, (x, labels))
        rates = {"learning_rate": 0.1, "momentum": 0.9, "damping": SETTINGS["damping"]}
        rates = {name: jnp.asarray(value) for name, value in rates.items()}
        for _ in range(4):
            params, state, _ = optimizer.step(params, state, key, batch=(x, labels), **rates)
    np.testing.assert_allclose(flat(params), KFAC_JAX, rtol=1e-7)


@pytest.mark.parametrize(("size", "constraint"), [(1e-22, None), (1e22, 1e-6)])
def test_the_norm_constraint_at_every_size_of_the_gradient(size, constraint):
    """A huge step is brought to the length that is allowed, a tiny one is left alone."""
    params, curvature = problem()
    grads = jax.jit(curvature.gradient)()

    def step(constraint, scale):
        tx = so.kfac(0.1, norm_constraint=constraint)
        scaled = jax.tree.map(lambda g: scale * g, grads)
        return tx.update(scaled, tx.init(params), params, curvature=curvature)[0]

    found, expected = jax.jit(lambda: (step(1e-6, size), step(constraint, 1.0)))()
    scale = size if constraint is None else 1.0
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a / scale, b, rtol=1e-4, atol=1e-7), found, expected
    )
