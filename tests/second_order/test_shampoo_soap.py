"""Shampoo and SOAP against their equations in numpy, by blocks and by ranks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from second_order.making import flat

from jaxopt_lab import optimizers
from jaxopt_lab import second_order as so
from jaxopt_lab.second_order.blocks import Blocks
from jaxopt_lab.testing.transformation import takes_numbers_and_names_what_is_missing

STEPS = 4
SHAPES = {
    "scalar": (),
    "vector": (5,),
    "matrix": (4, 6),
    "row": (1, 3),
    "conv": (2, 2, 1, 3),
    "rank_3": (2, 3, 2),
    "empty": (0, 3),
}


def params_of(dtype=jnp.float32):
    return {name: jnp.ones(shape, dtype) for name, shape in SHAPES.items()}


def gradient(shape, step, seed):
    return np.random.default_rng(100 * seed + step).normal(size=shape)


def as_matrix(g):
    return g.reshape(-1, g.shape[-1]) if g.ndim > 1 else g.reshape(-1, 1)


def blocks_of(g, size):
    """The slices of a matrix's blocks, of equal parts and a shorter last one."""

    def parts(n):
        if n == 0:
            return []
        step = -(-n // -(-n // size))
        return [slice(i, min(i + step, n)) for i in range(0, n, step)]

    return [(r, c) for r in parts(g.shape[0]) for c in parts(g.shape[1])]


def power(matrix, exponent, eps):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag((np.maximum(values, 0) + eps * values[-1]) ** exponent) @ vectors.T


class Average:
    """A moving average without the bias of its beginning."""

    def __init__(self, decay):
        self.decay, self.sum, self.weight = decay, 0.0, 0.0

    def add(self, x):
        self.sum = self.decay * self.sum + (1 - self.decay) * x
        self.weight = self.decay * self.weight + 1 - self.decay
        return self.sum / self.weight


def shampoo_by_hand(grads, size, every, graft, eps=1e-2):
    shape = grads[0].shape
    square, mean, sides, roots, found = Average(0.99), Average(0.9), {}, {}, []
    for step, g in enumerate(grads):
        matrix = as_matrix(g)
        u = np.zeros_like(matrix)
        for at in blocks_of(matrix, size):
            b = matrix[at]
            # A side is as long as that of the first block: the last may be shorter.
            first = matrix[blocks_of(matrix, size)[0]].shape
            averages = sides.setdefault(str(at), (Average(0.99), Average(0.99)))
            left, right = averages[0].add(b @ b.T), averages[1].add(b.T @ b)
            used = [side for side in (0, 1) if first[side] > 1]
            if step % every == 0:
                exponent = -1 / (2 * max(len(used), 1))
                roots[str(at)] = [power(m, exponent, eps) for m in (left, right)]
            l_root, r_root = roots[str(at)]
            b = l_root @ b if 0 in used else b
            u[at] = b @ r_root if 1 in used else b
        u = u.reshape(shape)
        second = square.add(g**2)
        target = {"adam": g / (np.sqrt(second) + 1e-8), "sgd": g, "none": u}[graft]
        length = np.linalg.norm(u)
        u = u * np.linalg.norm(target) / (length if length > 0 else 1)
        found.append(-0.1 * mean.add(u))
    return found


def soap_by_hand(grads, bases, every, eps=1e-3):
    """Its updates, with the bases of each step, which are held to their own equations.

    Eigenvectors are no one's choice where the gradients so far span fewer directions than there
    are, so they cannot be compared with others. Averages are of decays in float32.
    """
    shape, mean, square, found, before = grads[0].shape, Average(0.95), Average(0.95), [], None
    averages = Average(0.95), Average(0.95)
    for step, (g, given) in enumerate(zip(grads, bases, strict=True)):
        matrix, m = as_matrix(g), as_matrix(np.asarray(mean.add(g)))
        products = matrix @ matrix.T, matrix.T @ matrix
        pair = [average.add(x) for average, x in zip(averages, products, strict=True)]
        sides = iter(given)
        given = [next(sides)[0] if n > 1 else np.eye(1) for n in matrix.shape]
        for side, q in enumerate(given):
            np.testing.assert_allclose(q.T @ q, np.eye(len(q)), atol=1e-6)
            if step == 0:
                values = q.T @ pair[side] @ q
                assert (np.diff(np.diag(values)) <= 1e-6).all()
                np.testing.assert_allclose(values, np.diag(np.diag(values)), atol=1e-6)
            elif step % every == 0:
                np.testing.assert_allclose(
                    np.tril(q.T @ pair[side] @ before[side], -1), 0, atol=1e-6
                )
            else:
                np.testing.assert_array_equal(q, before[side])
        left, right = before = given
        v = square.add((left.T @ matrix @ right) ** 2)
        u = left @ ((left.T @ m @ right) / (np.sqrt(v) + eps)) @ right.T
        found.append(-0.1 * u.reshape(shape))
    return found


def run(tx, dtype=jnp.float32):
    """Updates and state of every step."""

    @jax.jit
    def step(grads, state, params):
        return tx.update(grads, state, params)

    params = params_of(dtype)
    state, found = tx.init(params), []
    for k in range(STEPS):
        grads = {
            n: jnp.asarray(gradient(s, k, i), dtype) for i, (n, s) in enumerate(SHAPES.items())
        }
        updates, new = step(grads, state, params)
        same = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, new, state)
        assert all(jax.tree.leaves(same))
        state = new
        found.append((updates, state.inner))
    return found


def all_grads(seed, shape):
    return [gradient(shape, step, seed) for step in range(STEPS)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("graft", "size", "every"), [("adam", 3, 2), ("sgd", 64, 1), ("none", 4, 3)]
)
def test_shampoo_is_its_equations(graft, size, every):
    tx = so.shampoo(0.1, eps=1e-2, block_size=size, every=every, graft=graft)
    found = run(tx, jnp.float64)
    for i, (name, shape) in enumerate(SHAPES.items()):
        expected = shampoo_by_hand(all_grads(i, shape), size, every, graft)
        for (a, _), b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a[name], b, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("every", [1, 2])
def test_soap_is_its_equations(every):
    found = run(so.soap(0.1, eps=1e-3, every=every), jnp.float64)
    for i, (name, shape) in enumerate(SHAPES.items()):
        bases = [[np.asarray(q) for q in state.bases[name]] for _, state in found]
        if name == "empty":
            continue
        expected = soap_by_hand(all_grads(i, shape), bases, every)
        for (a, _), b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a[name], b, rtol=1e-10, atol=1e-12, err_msg=name)


def test_soap_in_the_basis_of_a_scalar_is_adam():
    params, grads = jnp.array(1.0), [jnp.array(g) for g in (0.3, -2.0, 1.0)]

    def updates(tx):
        state, found = tx.init(params), []
        for g in grads:
            update, state = tx.update(g, state, params)
            found.append(update)
        return found

    adam = updates(optimizers.adam(0.1, 0.9, 0.99))
    np.testing.assert_allclose(updates(so.soap(0.1, 0.9, 0.99)), adam, rtol=1e-5)


@pytest.mark.parametrize("shape", [*SHAPES.values(), (7, 9), (3, 3, 5, 7)])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_blocks_are_put_together_again(shape, size):
    blocks = Blocks(shape, size)
    x = jnp.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    cut = blocks.cut(x)
    assert max(cut.shape[1:]) <= size
    np.testing.assert_array_equal(blocks.join(cut), x)


def test_a_gradient_that_is_not_finite_leaves_no_trace():
    for tx in (so.shampoo(0.1), so.soap(0.1)):
        update, params = jax.jit(tx.update), {"w": jnp.ones((3, 2))}
        good, bad = ({"w": jnp.full((3, 2), v).at[0, 0].set(1.0)} for v in (2.0, jnp.nan))
        _, state = update(good, tx.init(params), params)
        updates, after = update(bad, state, params)
        assert np.isfinite(flat(updates)).all()
        np.testing.assert_array_equal(flat(state.inner), flat(after.inner))


@pytest.mark.parametrize("method", [so.shampoo, so.soap])
def test_takes_numbers_and_names_what_is_missing(method):
    takes_numbers_and_names_what_is_missing(method(0.1))


@pytest.mark.parametrize("make", [so.shampoo, so.soap])
def test_a_gradient_whose_squares_overflow_is_left_out(make):
    params, tx = {"w": jnp.ones((2, 3))}, make(0.1)
    usual = {"w": jnp.linspace(-1, 1, 6).reshape(2, 3)}
    _, state = tx.update(usual, tx.init(params), params)
    updates, after = tx.update({"w": jnp.full((2, 3), 1e20)}, state, params)
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves((updates, after)))
    jax.tree.map(np.testing.assert_array_equal, after.inner, state.inner)
