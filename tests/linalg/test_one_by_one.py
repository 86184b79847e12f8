"""Factorizations of single matrices, and of many by `vmap`, are those of jax.numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lapack import single_matrices

from jaxopt_lab.linalg import one_by_one

RNG = np.random.default_rng(0)
TALL = jnp.asarray(RNG.normal(size=(4, 5, 3)), jnp.float32)
SQUARE = jnp.asarray(np.einsum("bij,bik->bjk", TALL, TALL) + np.eye(3), jnp.float32)
FACTORS, RIGHT = jnp.linalg.cholesky(SQUARE), TALL.mT
CASES = {
    "eigh": ((SQUARE,), lambda m: tuple(jnp.linalg.eigh(m))),
    "eigvalsh": ((SQUARE,), jnp.linalg.eigvalsh),
    "qr": ((TALL,), lambda m: tuple(jnp.linalg.qr(m))),
    "triangle": ((TALL,), lambda m: jnp.linalg.qr(m, mode="r")),
    "svd": ((TALL,), lambda m: tuple(jnp.linalg.svd(m, full_matrices=False))),
    "cholesky": ((SQUARE,), jnp.linalg.cholesky),
    "cho_solve": ((FACTORS, RIGHT), lambda f, b: jax.scipy.linalg.cho_solve((f, True), b)),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_jax_numpy_with_its_derivative_and_takes_one_at_a_time(name):
    given, expected = CASES[name]
    many = jax.vmap(getattr(one_by_one, name))
    jax.tree.map(np.testing.assert_array_equal, jax.jit(many)(*given), jax.jit(expected)(*given))

    def squares(function):
        return lambda *x: sum(jnp.sum(y**2 * 0.5 + y) for y in jax.tree.leaves(function(*x)))

    # The same derivative of the same factors, in another program: float32 rounding.
    ours, theirs = (jax.jit(jax.grad(squares(f)))(*given) for f in (many, expected))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert single_matrices(many, *given)
