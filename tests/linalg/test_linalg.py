"""Each routine against the dense matrix, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxopt_lab import linalg
from jaxopt_lab.core.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("x64")
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
LIKE = {"a": (2, 3), "b": (4,), "none": (0, 2)}


def tree(seed):
    numbers = np.random.default_rng(seed)
    return {k: jnp.asarray(numbers.normal(size=shape)) for k, shape in LIKE.items()}


def vector(x):
    return np.asarray(ravel_pytree(x)[0])


def operator(matrix):
    _, unravel = ravel_pytree(tree(0))
    return lambda v: unravel(jnp.asarray(matrix) @ ravel_pytree(v)[0])


def symmetric(eigenvalues, seed=1):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(10, 10)))
    return (q * np.asarray(eigenvalues)) @ q.T


POSITIVE = symmetric(np.logspace(-2, 1, 10))


def model(params):
    """Nonlinear outputs (5, 3) of ten parameters."""
    x = jnp.linspace(-1, 1, 10).reshape(5, 2)
    return jnp.tanh(x @ params["a"]) * params["b"][None, :3] + params["b"][3]


def losses(outputs):
    """One value a row, with a full Hessian in it."""
    return jnp.log(1 + (outputs**2).sum(1)) + jnp.exp(outputs[:, 0] * outputs[:, 1])


def flat_model(v):
    return model(ravel_pytree(tree(0))[1](v))


def test_hessian_product():
    def f(params):
        return losses(model(params)).mean()

    where, v = tree(2), tree(3)
    hessian = jax.jit(jax.hessian(lambda x: losses(flat_model(x)).mean()))(ravel_pytree(where)[0])

    @jax.jit
    def computed(where, v):
        product = linalg.hessian_operator(f, where)
        return linalg.hvp(f, where, v), linalg.dense(product, v), linalg.diagonal(product, v)

    product, dense, diagonal = computed(where, v)
    np.testing.assert_allclose(vector(product), hessian @ vector(v), **CLOSE)
    np.testing.assert_allclose(dense, hessian, **CLOSE)
    np.testing.assert_allclose(vector(diagonal), jnp.diagonal(hessian), **CLOSE)


def test_gauss_newton_and_fisher_products():
    where, v = tree(2), tree(3)
    jacobian = np.asarray(jax.jit(jax.jacfwd(flat_model))(ravel_pytree(where)[0]))
    outputs = model(where)
    curve = np.asarray(jax.vmap(jax.hessian(lambda z: losses(z[None])[0]))(outputs))
    ggn = np.einsum("nkp,nkl,nlq->pq", jacobian, curve, jacobian) / 5
    found = jax.jit(lambda p, v: linalg.ggn_vp(model, losses, p, v))(where, v)
    np.testing.assert_allclose(vector(found), ggn @ vector(v), **CLOSE)

    slopes = jax.grad(lambda z: losses(z).sum())(outputs)
    rows = np.einsum("nkp,nk->np", jacobian, slopes)
    found = jax.jit(lambda p, v: linalg.fisher_vp(model, slopes, p, v))(where, v)
    np.testing.assert_allclose(vector(found), rows.T @ (rows @ vector(v)) / 5, **CLOSE)


def test_per_example_gradients():
    x, where = jnp.linspace(-1, 1, 10).reshape(5, 2), tree(2)

    def f(params, batch):
        return losses(jnp.tanh(batch["x"] @ params["a"]) * batch["scale"][:, None])

    batch = {"x": x, "scale": jnp.arange(1.0, 6.0)}
    found = jax.jit(lambda p: linalg.per_example_grads(f, p, batch))(where)
    expected = jax.jacrev(lambda p: f(p, batch))(where)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE), found, expected)


@pytest.mark.parametrize("start", [None, 7])
def test_conjugate_gradients_solve(start):
    b, x0 = tree(5), None if start is None else tree(start)
    found = jax.jit(lambda b: linalg.cg(operator(POSITIVE), b, iterations=25, x0=x0))(b)
    np.testing.assert_allclose(vector(found.x), np.linalg.solve(POSITIVE, vector(b)), rtol=1e-8)
    assert found.residual < 1e-10
    assert not found.negative_curvature


def test_conjugate_gradients_with_the_inverse_as_preconditioner_need_one_iteration():
    b = tree(5)
    inverse = operator(np.linalg.inv(POSITIVE))
    found = linalg.cg(operator(POSITIVE), b, iterations=1, preconditioner=inverse)
    np.testing.assert_allclose(vector(found.x), np.linalg.solve(POSITIVE, vector(b)), rtol=1e-8)


def test_few_iterations_minimize_over_the_krylov_space():
    b = vector(tree(5))
    found = linalg.cg(operator(POSITIVE), tree(5), iterations=3)
    krylov = np.stack([b, POSITIVE @ b, POSITIVE @ POSITIVE @ b], 1)
    best = krylov @ np.linalg.solve(krylov.T @ POSITIVE @ krylov, krylov.T @ b)
    np.testing.assert_allclose(vector(found.x), best, rtol=1e-8)
    residual = np.linalg.norm(b - POSITIVE @ best)
    np.testing.assert_allclose(found.residual, residual, rtol=1e-8)


def test_conjugate_gradients_stop_at_negative_curvature_and_say_so():
    values = np.linspace(1, 5, 10)
    values[0] = -3.0
    found = linalg.cg(operator(symmetric(values)), tree(5), iterations=30)
    assert found.negative_curvature
    assert np.isfinite(vector(found.x)).all() and vector(found.x) @ vector(tree(5)) > 0
    at_once = linalg.cg(operator(-POSITIVE), tree(5), iterations=3)
    assert at_once.negative_curvature and not vector(at_once.x).any()


@pytest.mark.parametrize("matrix", [np.zeros((10, 10)), np.full((10, 10), np.nan), POSITIVE])
@pytest.mark.parametrize("scale", [0.0, 1e-200, np.nan])
def test_conjugate_gradients_are_finite_on_anything(matrix, scale):
    b = jax.tree.map(lambda x: x * scale, tree(5))
    assert np.isfinite(vector(linalg.cg(operator(matrix), b, iterations=20).x)).all()


def test_lanczos_finds_all_eigenvalues_with_as_many_vectors():
    found = jax.jit(lambda v: linalg.lanczos(operator(POSITIVE), v, 10))(tree(5))
    t = np.diag(found.diagonal) + np.diag(found.off_diagonal, 1) + np.diag(found.off_diagonal, -1)
    np.testing.assert_allclose(np.linalg.eigvalsh(t), np.linalg.eigvalsh(POSITIVE), rtol=1e-9)
    q = np.asarray(jax.vmap(lambda x: ravel_pytree(x)[0])(found.basis))
    np.testing.assert_allclose(q @ q.T, np.eye(10), atol=1e-12)
    np.testing.assert_allclose(q @ POSITIVE @ q.T, t, atol=1e-10)
    np.testing.assert_allclose(q[0], vector(tree(5)) / np.linalg.norm(vector(tree(5))))


def test_lanczos_keeps_its_vectors_orthogonal_where_the_recurrence_alone_would_not():
    matrix = symmetric(np.logspace(-12, 0, 10))
    found = linalg.lanczos(operator(matrix), tree(5), 10)
    q = np.asarray(jax.vmap(lambda x: ravel_pytree(x)[0])(found.basis))
    kept = np.linalg.norm(q, axis=1) > 0
    np.testing.assert_allclose(q[kept] @ q[kept].T, np.eye(kept.sum()), atol=1e-12)


def test_lanczos_ends_with_zeros_where_there_is_nothing_more():
    matrix = symmetric([2.0] * 5 + [3.0] * 5)  # two different eigenvalues: two vectors
    found = linalg.lanczos(operator(matrix), tree(5), 6)
    np.testing.assert_allclose(found.off_diagonal[1:], 0, atol=1e-12)
    np.testing.assert_allclose(found.diagonal[2:], 0, atol=1e-12)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))
    two = np.diag(found.diagonal[:2]) + np.diag(found.off_diagonal[:1], 1)
    np.testing.assert_allclose(np.linalg.eigvalsh(two.T), [2, 3], rtol=1e-10)


@pytest.mark.parametrize("values", [[2.0] * 5 + [3.0] * 5, [0.0] * 10])
@pytest.mark.parametrize("k", [6, 10, 13])
def test_lanczos_with_a_key_goes_on_to_the_last_dimension(values, k):
    matrix = symmetric(values)
    found = jax.jit(lambda v: linalg.lanczos(operator(matrix), v, k, jax.random.key(0)))(tree(5))
    q = np.asarray(jax.vmap(lambda x: ravel_pytree(x)[0])(found.basis))
    np.testing.assert_allclose(q @ q.T, np.diag(np.arange(k) < 10), atol=1e-12)
    t = np.diag(found.diagonal) + np.diag(found.off_diagonal, 1) + np.diag(found.off_diagonal, -1)
    np.testing.assert_allclose(q @ matrix @ q.T, t, atol=1e-12)


def test_hutchinson_is_exact_for_a_diagonal():
    matrix = np.diag(np.arange(1.0, 11.0))
    found = linalg.hutchinson_diag(operator(matrix), tree(0), jax.random.key(0))
    np.testing.assert_allclose(vector(found), np.arange(1.0, 11.0), rtol=1e-12)
    found = linalg.hutchinson_trace(operator(matrix), tree(0), jax.random.key(0))
    np.testing.assert_allclose(found, 55.0, rtol=1e-12)


def test_hutchinson_is_unbiased_with_its_own_probes_in_each_lane():
    product, samples = operator(POSITIVE), 500
    keys = jax.random.split(jax.random.key(1), 4)

    @jax.jit
    @jax.vmap
    def estimates(key):
        diag = linalg.hutchinson_diag(product, tree(0), key, samples)
        return diag, linalg.hutchinson_trace(product, tree(0), key, samples)

    diags, traces = estimates(keys)
    off = POSITIVE - np.diag(np.diag(POSITIVE))
    # 5 standard deviations of the mean of 2,000 probes.
    sigma = np.sqrt((off**2).sum(1) / (4 * samples))
    mean = np.asarray(jax.vmap(lambda x: ravel_pytree(x)[0])(diags)).mean(0)
    assert (np.abs(mean - np.diag(POSITIVE)) < 5 * sigma).all()
    assert abs(traces.mean() - POSITIVE.trace()) < 5 * np.sqrt(2 * (off**2).sum() / (4 * samples))
    assert len(set(np.asarray(traces))) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda: linalg.cg(operator(POSITIVE), tree(0), iterations=0),
        lambda: linalg.lanczos(operator(POSITIVE), tree(0), 0),
        lambda: linalg.hutchinson_diag(operator(POSITIVE), tree(0), jax.random.key(0), 0),
        lambda: linalg.hutchinson_trace(operator(POSITIVE), tree(0), jax.random.key(0), 0),
    ],
)
def test_rejects_what_is_out_of_range(call):
    with pytest.raises(ArgumentError, match="must be >= 1, got 0"):
        call()


def test_cg_and_lanczos_of_a_hermitian_matrix():
    rng = np.random.default_rng(0)
    root, b = (rng.normal(size=(*s, 2)) @ np.array([1, 1j]) for s in ((5, 5), (5,)))
    matrix = (root @ root.conj().T + np.eye(5)).astype(np.complex64)
    product, b = (lambda v: matrix @ v), jnp.asarray(b, jnp.complex64)
    found = linalg.cg(product, b, iterations=8)
    # float32, of a matrix with a condition below 30.
    np.testing.assert_allclose(found.x, np.linalg.solve(matrix, b), rtol=1e-4, atol=1e-5)
    assert found.residual.dtype == jnp.float32 and not found.negative_curvature
    diagonal, off, _ = linalg.lanczos(product, b, 5)
    tridiagonal = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    values = np.linalg.eigvalsh(tridiagonal)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), rtol=1e-4)


def small_system():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    matrix = jnp.asarray(root @ root.T + np.eye(5), jnp.float32)
    return matrix, jnp.asarray(rng.normal(size=5), jnp.float32)


@pytest.mark.parametrize("size", [1e-34, 1e-23, 1e20, 1e36])
def test_cg_solves_at_every_scale(size):
    matrix, b = small_system()
    solve = jax.jit(lambda b: linalg.cg(lambda v: matrix @ v, b, iterations=20).x)
    # By a power of two: the same numbers, scaled.
    scale = float(2.0 ** np.round(np.log2(size)))
    np.testing.assert_array_equal(solve(scale * b) / scale, solve(b))


def test_cg_from_a_start_far_above_its_residual():
    matrix, b = small_system()
    x0 = jnp.linalg.solve(matrix, b)
    for start in (x0, 1e10 * x0):
        found = linalg.cg(lambda v: matrix @ v, matrix @ start, iterations=20, x0=start)
        np.testing.assert_allclose(found.x, start, rtol=1e-4)


def test_the_derivative_of_cg_is_that_of_the_solution():
    """Also where it has converged long before its last iteration."""
    matrix, b = small_system()

    def total(solve):
        return lambda matrix, b: jnp.sum(jnp.sin(solve(matrix, b)))

    def by_cg(matrix, b):
        x0 = jnp.ones(5)
        return linalg.cg(lambda v: matrix @ v, b, iterations=30, x0=x0).x

    found = jax.jit(jax.grad(total(by_cg), (0, 1)))(matrix, b)
    expected = jax.grad(total(jnp.linalg.solve), (0, 1))(matrix, b)
    for a, e in zip(found, expected, strict=True):
        # float32, of a matrix with a condition below 30.
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-5)
    _, forward = jax.jvp(lambda b: by_cg(matrix, b), (b,), (b,))
    np.testing.assert_allclose(forward, jnp.linalg.solve(matrix, b), rtol=1e-4)


def test_lanczos_from_a_vector_whose_squares_underflow():
    matrix, b = small_system()
    product = lambda v: matrix @ v  # noqa: E731
    scale = 2.0**-80
    for small, usual in zip(
        linalg.lanczos(product, scale * b, 4), linalg.lanczos(product, b, 4), strict=True
    ):
        np.testing.assert_allclose(small, usual, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [2.0**-90, 2.0**90])
def test_lanczos_of_a_matrix_whose_squares_leave_the_range_of_floats(scale):
    matrix, b = small_system()
    found = linalg.lanczos(lambda v: scale * (matrix @ v), b, 4)
    usual = linalg.lanczos(lambda v: matrix @ v, b, 4)
    np.testing.assert_allclose(found.diagonal / scale, usual.diagonal, rtol=1e-4)
    np.testing.assert_allclose(found.off_diagonal / scale, usual.off_diagonal, rtol=1e-4)


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd, jax.hessian])
def test_cg_has_derivatives_where_only_some_leaves_depend_or_count(derivative):
    matrix, b = small_system()

    def by_cg(scale):
        product = lambda v: {"a": scale * (matrix @ v["a"]), "b": 2 * v["b"]}  # noqa: E731
        return linalg.cg(product, {"a": b, "b": b}, iterations=20).x["a"].sum()

    expected = derivative(lambda scale: jnp.linalg.solve(scale * matrix, b).sum())(1.0)
    np.testing.assert_allclose(derivative(by_cg)(1.0), expected, rtol=1e-4)
