"""Every product and every solve against explicit matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from second_order.making import flat, solved

from jaxopt_lab import linalg
from jaxopt_lab import second_order as so

KINDS = ("hessian", "ggn", "mc", "empirical")
DAMPING = 0.1  # not the same in float32 and float64


def assert_near(a, b, tolerance):
    """To a share of the largest entry: what a float32 sum of terms of that size has to lose."""
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def direction(tx, curvature, grads):
    def update(curvature, grads):
        params = curvature.params
        return tx.update(grads, tx.init(params), params, curvature=curvature)[0]

    return flat(jax.jit(update)(curvature, grads))


@pytest.fixture(params=["mlp float32", "mlp float64", "conv float64"])
def case(request):
    """A curvature, its explicit matrices, and how near a method must come to them."""
    name, dtype = request.param.split()
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", dtype == "float64")
    yield *solved(name, dtype), {"float32": 1e-4, "float64": 1e-12}[dtype]
    jax.config.update("jax_enable_x64", before)


def test_products_and_gradients(case):
    curvature, expected, tolerance = case

    @jax.jit
    def computed(c):
        like = c.variables
        v = jax.tree.map(lambda p: jnp.cos(3 * p), like)
        products = [c.hvp(v), c.ggn_vp(v), c.fisher_vp(v), c.fisher_vp(v, "empirical")]
        return (
            v,
            dict(zip(KINDS, products, strict=True)),
            {kind: linalg.dense(c.operator(kind), like) for kind in KINDS},
            {kind: c.fisher_grads(kind) for kind in ("mc", "empirical")},
            (c.gradient(), c.ggn_diagonal(), linalg.diagonal(c.operator("hessian"), like)),
        )

    v, products, dense, grads, (gradient, ggn, hessian) = computed(curvature)
    for kind in KINDS:
        assert_near(dense[kind], expected[kind], tolerance)
        assert_near(flat(products[kind]), expected[kind] @ flat(v), tolerance)
    for kind in ("mc", "empirical"):
        rows = jax.vmap(lambda g: ravel_pytree(g)[0])(grads[kind])
        assert_near(rows, expected[f"{kind}_grads"], tolerance)
    assert_near(flat(gradient), expected["gradient"], tolerance)
    assert_near(flat(ggn), np.diagonal(expected["ggn"]), tolerance)
    assert_near(flat(hessian), np.diagonal(expected["hessian"]), tolerance)


@pytest.mark.parametrize(
    ("fisher", "solve"),
    [
        ("ggn", "cg"),
        ("ggn", "dense"),
        ("mc", "woodbury"),
        ("empirical", "cg"),
    ],
)
def test_natural_gradient(case, fisher, solve):
    curvature, expected, tolerance = case
    tx = so.scale_by_natural_gradient(DAMPING, fisher=fisher, solve=solve, iterations=40)
    matrix = expected[fisher] + DAMPING * np.eye(len(expected[fisher]))
    found = direction(tx, curvature, curvature.gradient())
    assert_near(found, np.linalg.solve(matrix, expected["gradient"]), tolerance)


@pytest.mark.parametrize(
    ("fisher", "blocks"), [("ggn", "layer"), ("mc", "layer"), ("empirical", "leaf")]
)
def test_block_natural_gradient(case, fisher, blocks):
    curvature, expected, tolerance = case
    leaves = jax.tree.leaves(curvature.params)
    sizes = [x.size for x in leaves]
    if blocks == "layer":  # a bias and a kernel each, in the order of the leaves
        sizes = [sizes[0] + sizes[1], sizes[2] + sizes[3]]
    limit = sorted(sizes)[-2]  # the largest block is diagonal
    tx = so.scale_by_block_natural_gradient(DAMPING, fisher=fisher, blocks=blocks, max_block=limit)
    places = np.repeat(np.arange(len(sizes)), sizes)
    same = (places[:, None] == places) & np.array([s <= limit for s in sizes])[places][:, None]
    matrix = np.where(same | np.eye(len(places), dtype=bool), expected[fisher], 0)
    matrix += DAMPING * np.eye(len(matrix))
    found = direction(tx, curvature, curvature.gradient())
    assert_near(found, np.linalg.solve(matrix, expected["gradient"]), tolerance)


@pytest.mark.parametrize("safeguard", ["absolute", "shift"])
def test_newton(case, safeguard):
    curvature, expected, tolerance = case
    tx = so.scale_by_newton(DAMPING, 2**-10, safeguard=safeguard)
    h, vectors = np.linalg.eigh(expected["hessian"])
    assert h.min() < -0.01  # or there were nothing to guard
    least = 2**-10 * np.abs(h).max()
    h = np.maximum(np.abs(h), least) if safeguard == "absolute" else h + (least - h.min())
    found = direction(tx, curvature, curvature.gradient())
    assert_near(found, vectors @ (vectors.T @ expected["gradient"] / (h + DAMPING)), tolerance)


def test_newton_cg(case):
    curvature, expected, tolerance = case
    damping = 2.0  # above the most negative eigenvalue: the system is positive definite
    found = direction(
        so.scale_by_newton_cg(damping, iterations=40), curvature, curvature.gradient()
    )
    matrix = expected["hessian"] + damping * np.eye(len(expected["hessian"]))
    assert np.linalg.eigvalsh(matrix).min() > 0
    assert_near(found, np.linalg.solve(matrix, expected["gradient"]), tolerance)


@pytest.mark.parametrize(
    ("estimator", "rule"),
    [("exact", "adahessian"), ("gauss_newton", "damped"), ("hutchinson", "damped")],
)
def test_diagonal_hessian(case, estimator, rule):
    """Three steps with gradients of one's own, against the averages written out."""
    curvature, expected, tolerance = case
    b1, b2, power = 0.7, 0.6, 0.5
    tx = so.scale_by_diagonal_hessian(b1, b2, DAMPING, power, estimator=estimator, rule=rule)

    @jax.jit
    def three(curvature):
        grads, state = curvature.gradient(), tx.init(curvature.params)
        for scale in (1.0, -2.0, 3.0):
            scaled = jax.tree.map(lambda g, s=scale: s * g, grads)
            found, state = tx.update(scaled, state, curvature=curvature)
        return found, linalg.signs(jax.random.split(curvature.probe_key, 1)[0], grads)

    found, z = three(curvature)
    z = flat(z).astype(np.float64)
    d = {
        "exact": np.diagonal(expected["hessian"]),
        "gauss_newton": np.diagonal(expected["ggn"]),
        "hutchinson": z * (expected["hessian"] @ z),
    }[estimator]
    m = h = 0
    for scale in (1.0, -2.0, 3.0):
        m = b1 * m + (1 - b1) * scale * expected["gradient"]
        h = b2 * h + (1 - b2) * (d**2 if rule == "adahessian" else d)
    m, h = m / (1 - b1**3), h / (1 - b2**3)
    size = np.sqrt(h) ** power if rule == "adahessian" else np.abs(h)
    assert_near(flat(found), m / (size + DAMPING), tolerance)


def test_gradient_variance(case):
    curvature, expected, tolerance = case
    tx = so.scale_by_gradient_variance(0.7, 0.6, DAMPING, 0.5)

    @jax.jit
    def two(curvature):
        grads, state = curvature.gradient(), tx.init(curvature.params)
        _, state = tx.update(grads, state, curvature=curvature)
        return tx.update(jax.tree.map(lambda g: -g, grads), state, curvature=curvature)

    found, state = two(curvature)
    rows = expected["empirical_grads"]
    variance, g = rows.var(0, ddof=1), expected["gradient"]
    m = (0.7 * 0.3 * g - 0.3 * g) / (1 - 0.7**2)
    assert_near(flat(found), m / (np.sqrt(variance) + DAMPING), tolerance)
    signal = g @ g - variance.sum() / len(rows)
    scale = variance.sum() / signal if signal > 0 else np.inf
    np.testing.assert_allclose(so.gradient_noise_scale((state,)), scale, rtol=1e-3)
