"""Curvature against dense matrices and their `eigh`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.making import flat, matrix_operator, problem, symmetric

from jaxopt_lab import diagnostics, linalg
from jaxopt_lab.core.errors import ArgumentError, InputError

KEY = jax.random.key(0)


@functools.partial(jax.jit, static_argnums=(1, 2))
def found_top(matrix, k, iterations):
    product, like = matrix_operator(matrix), jnp.zeros(len(matrix), matrix.dtype)
    return diagnostics.top_eigenvalues(product, like, KEY, k, iterations=iterations)


def top(matrix, k, iterations, dtype=jnp.float64):
    return found_top(jnp.asarray(matrix, dtype), k, iterations)


@pytest.fixture(params=["mlp", "cnn"])
def case(request, x64):
    return problem(request.param)


def test_ragged_batches_make_the_hessian_of_all_samples(case):
    mean = diagnostics.mean_loss(case.loss_fn, case.batches)

    @jax.jit
    def computed(params):
        product = diagnostics.mean_hessian(case.loss_fn, params, case.batches)
        return linalg.dense(product, params), mean(params), jax.grad(mean)(params)

    dense, value, gradient = computed(case.params)
    np.testing.assert_allclose(dense, case.hessian, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(value, case.loss(case.params), rtol=1e-12)
    np.testing.assert_allclose(flat(gradient), case.gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", [(10,), (4, 4, 2)])
def test_one_batch_and_a_stacked_loop_make_the_same_hessian(x64, sizes):
    case = problem()
    whole = jax.tree.map(lambda *parts: np.concatenate(parts), *case.batches)
    cuts = np.cumsum(sizes)[:-1]
    parts = {name: np.split(x, cuts) for name, x in whole.items()}
    batches = [dict(zip(parts, each, strict=True)) for each in zip(*parts.values(), strict=True)]
    v = jax.tree.map(lambda p: jnp.cos(3 * p), case.params)
    product = diagnostics.mean_hessian(case.loss_fn, case.params, batches)
    np.testing.assert_allclose(flat(jax.jit(product)(v)), case.hessian @ flat(v), rtol=1e-9)


def test_of_a_network_against_eigh(case):
    """The top five by 60 products, the trace, the spectrum and the layers' blocks, within 1 %."""

    @jax.jit
    def computed(key):
        product = case.product
        found = diagnostics.top_eigenvalues(product, case.params, key)
        return found, diagnostics.hessian_spectrum(product, case.params, key, probes=20, steps=20)

    found, spectrum = computed(KEY)
    _, eigenvectors = np.linalg.eigh(case.hessian)
    order = np.argsort(-np.abs(case.eigenvalues))[:5]
    np.testing.assert_allclose(found.values, case.eigenvalues[order], rtol=1e-2)
    np.testing.assert_allclose(found.least, case.eigenvalues[0], rtol=1e-2)
    np.testing.assert_allclose(found.greatest, case.eigenvalues[-1], rtol=1e-2)
    for i, j in enumerate(order):
        v = flat(jax.tree.map(lambda x, i=i: x[i], found.vectors))
        np.testing.assert_allclose(np.linalg.norm(v), 1, rtol=1e-6)
        np.testing.assert_allclose(abs(v @ eigenvectors[:, j]), 1, rtol=1e-2)
        residual = np.linalg.norm(case.hessian @ v - found.values[i] * v)
        np.testing.assert_allclose(found.residuals[i], residual, atol=1e-10)
    # The second moment as well, whose 20 probes have a spread of their own.
    nodes, weights = np.asarray(spectrum.nodes), np.asarray(spectrum.weights)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-12)
    for power in (1, 2):
        probes = 20 * (weights * nodes**power).sum(1)
        error = probes.std(ddof=1) / np.sqrt(20)
        assert abs(probes.mean() - (case.eigenvalues**power).mean()) < 4 * error


def test_trace_within_its_error(case):
    found = jax.jit(lambda key: diagnostics.trace(case.product, case.params, key, 2000))(KEY)
    exact = np.trace(case.hessian)
    off = case.hessian - np.diag(np.diag(case.hessian))
    np.testing.assert_allclose(found.error, np.sqrt(2 * (off**2).sum() / 2000), rtol=0.1)
    assert abs(found.estimate - exact) < 4 * found.error


def test_layers_are_the_diagonal_blocks(case):
    blocks = diagnostics.by_layer(case.product, case.params)
    assert list(blocks) == ["one", "two"]
    names = [n for n, leaf in _named(case.params) for _ in range(leaf.size)]
    dense = jax.jit(lambda: {n: linalg.dense(*block) for n, block in blocks.items()})()
    for layer, block in dense.items():
        inside = np.array([n.startswith(layer) for n in names])
        expected = case.hessian[np.ix_(inside, inside)]
        np.testing.assert_allclose(block, expected, rtol=1e-9, atol=1e-12)
    part = diagnostics.restricted(case.product, case.params, lambda path: path.endswith("bias"))
    assert list(part.like) == ["one/bias", "two/bias"]


def _named(tree):
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(p, simple=True, separator="/"), leaf) for p, leaf in leaves]


def test_the_largest_in_magnitude_may_be_negative_in_more_steps_than_dimensions(x64):
    found = top(symmetric([-5, 3, 1]), 3, 10)
    np.testing.assert_allclose(found.values, [-5, 3, 1], rtol=1e-10)
    np.testing.assert_allclose([found.least, found.greatest], [-5, 3], rtol=1e-10)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-10)


@pytest.mark.parametrize("scale", [2.0**-110, 2.0**90, np.nan])
def test_of_matrices_tiny_huge_and_broken(scale):
    """Whose squares leave the range of float32; a network that diverged has no eigenvalues."""
    found = top(np.diag([-5 * scale, 3 * scale, scale, 0]), 3, 6, jnp.float32)
    expected = np.array([-5, 3, 1]) * (scale / scale)
    np.testing.assert_allclose(found.values / scale, expected, rtol=1e-5)
    np.testing.assert_allclose(found.least / scale, expected[0], rtol=1e-5)
    np.testing.assert_allclose(found.residuals / scale, 0 * expected, atol=1e-5)


@pytest.mark.parametrize(
    ("eigenvalues", "iterations", "dtype"),
    [
        ([2.0] * 5 + [3.0] * 5, 7, "float64"),
        ([2.0] * 5 + [3.0] * 5, 12, "float64"),
        ([2.0] * 5 + [3.0] * 5, 12, "float32"),
        ([2.0] * 5 + [3.0] * 5, 12, "bfloat16"),
        ([0.0] * 10, 7, "float64"),
        ([0.0] * 10, 12, "float32"),
        ([7.0, 7.0, -7.0, 1e-3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 12, "float32"),
    ],
)
def test_eigenvalues_that_repeat(x64, eigenvalues, iterations, dtype):
    found = top(symmetric(eigenvalues), 5, iterations, dtype)
    tolerance = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 0.1}[dtype]
    expected = np.sort(np.abs(eigenvalues))[::-1][:5]
    near = np.isclose(np.array(found.values)[:, None], [eigenvalues], rtol=0, atol=tolerance).any(1)
    if iterations >= 10:
        np.testing.assert_allclose(np.abs(found.values), expected, atol=tolerance)
        np.testing.assert_allclose(found.residuals, 0, atol=tolerance)
    # What the last restart had no time for, its residual tells.
    assert (near | (found.residuals > 0.1)).all() and near.sum() >= 4
    np.testing.assert_allclose(found.greatest, max(eigenvalues), atol=tolerance)
    np.testing.assert_allclose(found.least, min(eigenvalues), atol=tolerance)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-5)
    assert found.values.dtype == ("float64" if dtype == "float64" else "float32")


def test_the_spectrum_of_a_diagonal_in_more_steps_than_it_has_dimensions(x64):
    eigenvalues = np.array([-4.0, -1, 0, 0, 0, 0.5, 1, 2, 3, 9])
    run = lambda key: diagnostics.hessian_spectrum(  # noqa: E731
        matrix_operator(np.diag(eigenvalues)), jnp.zeros(10), key, probes=3, steps=14
    )
    found = jax.jit(run)(KEY)
    grid, density = np.asarray(found.grid), np.asarray(found.density)
    np.testing.assert_allclose(np.trapezoid(density, grid), 1, atol=1e-5)
    np.testing.assert_allclose(np.trapezoid(density * grid, grid), eigenvalues.mean(), atol=1e-5)
    np.testing.assert_allclose(found.width, 0.13, rtol=1e-6)
    # Probes of random signs see each eigenvalue alike: every weight is its share.
    seen = {
        value: np.sum(found.weights[np.abs(found.nodes - value) < 1e-8]) for value in (0, 9, -4)
    }
    np.testing.assert_allclose([seen[0], seen[9], seen[-4]], [0.3, 0.1, 0.1], rtol=1e-9)
    np.testing.assert_allclose(
        density, _broadened(grid, eigenvalues, float(found.width)), atol=1e-9
    )


def _broadened(grid, eigenvalues, sigma):
    z = (grid[:, None] - eigenvalues[None]) / sigma
    return np.exp(-(z**2) / 2).mean(1) / sigma / np.sqrt(2 * np.pi)


@pytest.mark.parametrize(
    ("eigenvalues", "points"),
    [([0.0] * 4, 32), ([2.5] * 4, 400), ([1e-30, 1e-30, -1e-30, 1e30], 32)],
)
def test_every_density_integrates_to_one(eigenvalues, points):
    @jax.jit
    def computed(eigenvalues, key):
        return diagnostics.hessian_spectrum(
            lambda v: eigenvalues * v, jnp.zeros(4), key, probes=2, steps=6, points=points
        )

    found = computed(jnp.asarray(eigenvalues), KEY)
    assert all(np.isfinite(x).all() for x in found)
    area = np.trapezoid(np.asarray(found.density, float), np.asarray(found.grid, float))
    np.testing.assert_allclose(area, 1, atol=1e-4)
    mean = np.sum(np.asarray(found.nodes, float) * found.weights)
    np.testing.assert_allclose(mean, np.mean(eigenvalues), rtol=1e-5)


def test_the_trace_of_a_diagonal_is_exact():
    found = diagnostics.trace(lambda v: jnp.arange(4.0) * v, jnp.zeros(4), KEY, 3)
    np.testing.assert_allclose(found, (6, 0), atol=1e-6)


def test_jit_equals_eager_and_float32_stays():
    case, matrix = problem("mlp", "float32"), jnp.asarray(symmetric([-5, 3, 1]), jnp.float32)

    def computed(matrix, params, batch, key):
        product = lambda v: matrix @ v  # noqa: E731
        return (
            diagnostics.top_eigenvalues(product, jnp.zeros(3), key, 3, iterations=4),
            diagnostics.mean_hessian(case.loss_fn, params, [batch])(params),
        )

    args = matrix, case.params, case.batches[0], KEY
    eager, jitted = computed(*args), jax.jit(computed)(*args)
    for a, b in zip(jax.tree.leaves(eager), jax.tree.leaves(jitted), strict=True):
        assert a.dtype == b.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_products_are_at_full_precision(count):
    case = problem("mlp", "float32")
    product = diagnostics.mean_hessian(case.loss_fn, case.params, case.batches[:count])
    text = str(jax.make_jaxpr(product)(case.params))
    assert (
        text.count("dot_general")
        == text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)")
        > 0
    )


LIKE = jnp.zeros(3)


def identity(v):
    return v


def rows(params, batch):
    return batch["x"] * params


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: diagnostics.top_eigenvalues(identity, LIKE, KEY, 0),
            ArgumentError,
            "k must be >=",
        ),
        (
            lambda: diagnostics.top_eigenvalues(identity, LIKE, KEY, 5, iterations=4),
            ArgumentError,
            "iterations must be at least k, here 5, got 4",
        ),
        (lambda: diagnostics.trace(identity, LIKE, KEY, 1), ArgumentError, "samples must be >= 2"),
        (
            lambda: diagnostics.hessian_spectrum(identity, LIKE, KEY, points=10),
            ArgumentError,
            "points must be >= 32",
        ),
        (lambda: diagnostics.trace(identity, {}, KEY), InputError, "got an empty tree"),
        (lambda: diagnostics.trace(identity, jnp.arange(3), KEY), InputError, "got .'int32'"),
        (
            lambda: diagnostics.restricted(identity, {"a": LIKE}, lambda path: False),
            InputError,
            r"got none of \['a'\]",
        ),
        (lambda: diagnostics.mean_loss(rows, []), InputError, "at least one sample, got 0 batches"),
        (lambda: diagnostics.mean_loss(rows, {"x": LIKE}), InputError, r"\(batch,\) is one"),
        (
            lambda: diagnostics.mean_loss(rows, [{"x": LIKE, "y": jnp.zeros(2)}]),
            InputError,
            "one leading axis",
        ),
        (
            lambda: diagnostics.mean_hessian(lambda p, b: rows(p, b).mean(), 1.0, [{"x": LIKE}]),
            InputError,
            r"one value a sample, \(3,\) for this batch, got shape \(\)",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
