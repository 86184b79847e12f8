"""Surfaces against direct loops, directions and planes by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.making import flat, problem

from jaxopt_lab import diagnostics
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.tree import stack_trees

KEY = jax.random.key(0)


def moved(params, *steps_and_directions):
    for step, direction in steps_and_directions:
        params = jax.tree.map(lambda p, d, s=step: p + s * d, params, direction)
    return params


def others(case, count):
    """Further parameters of the same network."""
    keys = jax.random.split(jax.random.key(1), count)
    return [
        jax.tree.map(lambda p, k=k: p + jax.random.normal(k, p.shape, p.dtype), case.params)
        for k in keys
    ]


@pytest.mark.parametrize(("name", "batch_size"), [("cnn", None), ("mlp", 4)])
def test_a_plane_equals_a_double_loop(name, batch_size):
    case = problem(name, "float32")
    mean = diagnostics.mean_loss(case.loss_fn, case.batches)

    def objective(params):
        return {"loss": mean(params), "length": sum(jnp.sum(x**2) for x in jax.tree.leaves(params))}

    @jax.jit
    def computed(params, key):
        directions = [diagnostics.filter_normalized(k, params) for k in jax.random.split(key)]
        surface = diagnostics.loss_surface(
            objective, params, directions, steps=3, extent=0.5, batch_size=batch_size
        )
        return surface, directions

    surface, (first, second) = computed(case.params, KEY)
    alone, move = jax.jit(objective), jax.jit(moved)
    np.testing.assert_array_equal(surface.x, [-0.5, 0, 0.5])
    for j, y in enumerate(surface.y):
        for i, x in enumerate(surface.x):
            expected = alone(move(case.params, (x, first), (y, second)))
            for name, value in expected.items():
                np.testing.assert_allclose(surface.values[name][j, i], value, rtol=1e-5)
    if batch_size is None:
        assert surface.values["loss"][1, 1] == alone(case.params)["loss"]


def test_a_line_with_its_own_points_and_what_is_prepared_at_each():
    params = {"w": jnp.ones((2, 2)), "count": jnp.array(3)}
    direction = {"w": jnp.full((2, 2), 2.0), "count": jnp.array(7)}

    def prepare(params):
        return params | {"statistic": params["w"].mean()}

    def objective(prepared):
        return prepared["statistic"] * prepared["count"]

    found = diagnostics.loss_surface(
        objective, params, (direction,), coordinates=(jnp.array([0.0, 0.5, 2]),), prepare=prepare
    )
    assert found.y is None
    np.testing.assert_allclose(found.values, [3, 6, 15])


def test_filters_are_as_long_as_those_of_the_parameters():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)
    kernel[..., 1] = 0
    params = {
        "conv": {"kernel": kernel, "bias": np.ones(4, np.float32)},
        "dense": {"kernel": rng.normal(size=(5, 3)).astype(jnp.bfloat16)},
        "scale": np.float32(2),
        "count": np.arange(4, dtype=np.int32).reshape(2, 2),
    }
    draw = jax.jit(diagnostics.filter_normalized)
    d, other = draw(KEY, params), draw(jax.random.key(1), params)
    for unit in range(4):
        expected = np.sqrt((kernel[..., unit] ** 2).sum())
        np.testing.assert_allclose(
            np.sqrt((d["conv"]["kernel"][..., unit] ** 2).sum()), expected, rtol=1e-5
        )
    dense = np.asarray(d["dense"]["kernel"], np.float32)
    expected = np.linalg.norm(np.asarray(params["dense"]["kernel"], np.float32), axis=0)
    np.testing.assert_allclose(np.linalg.norm(dense, axis=0), expected, rtol=1e-2)
    assert not np.any(d["conv"]["bias"]) and d["scale"] == 0 and not np.any(d["count"])
    for a, b in zip(jax.tree.leaves(d), jax.tree.leaves(params), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and np.isfinite(a).all()
    assert not np.allclose(d["conv"]["kernel"], other["conv"]["kernel"])


@pytest.mark.parametrize(("name", "dtype"), [("mlp", "float32"), ("cnn", "float64")])
def test_both_ends_and_the_middle_are_the_objectives_own(name, dtype, x64):
    case = problem(name, dtype)
    (other,) = others(case, 1)
    objective = diagnostics.mean_loss(case.loss_fn, case.batches)
    middle = jax.tree.map(lambda a, b: 0.5 * a + 0.5 * b, case.params, other)

    @jax.jit
    def computed(a, b):
        return diagnostics.linear_mode_connectivity(objective, a, b, points=5)

    found, alone = computed(case.params, other), jax.jit(objective)
    values = np.asarray(found.path.values)
    ends = [alone(case.params), alone(middle), alone(other)]
    np.testing.assert_array_equal(values[[0, 2, 4]], ends)
    assert values.dtype == dtype
    heights = values - np.linspace(values[0], values[-1], 5)
    np.testing.assert_allclose(found.barrier, heights.max(), rtol=1e-5, atol=1e-6)
    assert found.share == np.linspace(0, 1, 5)[heights.argmax()]


def test_a_double_well_has_its_barrier_in_the_middle():
    def objective(w):
        return {"well": ((w**2 - 1) ** 2).sum(), "slope": w.sum(), "bowl": (w**2).sum()}

    a, b = -jnp.ones(2), jnp.ones(2)
    found = diagnostics.linear_mode_connectivity(objective, a, b, points=11)
    np.testing.assert_allclose(found.barrier["well"], 2, rtol=1e-6)
    assert found.share["well"] == 0.5
    np.testing.assert_allclose(found.barrier["slope"], 0, atol=1e-6)
    assert found.barrier["bowl"] == 0
    np.testing.assert_allclose(found.path.values["slope"], np.linspace(-2, 2, 11), atol=1e-6)


def test_batch_statistics_are_those_of_each_point():
    """Of two networks whose hidden units are exchanged, the middle has statistics of its own."""
    x = jax.random.normal(KEY, (20, 3))
    a = jnp.array([[1.0, 0, 0], [0, 3, 0], [0, 0, 2]])
    b = a[:, ::-1]

    def prepare(w):
        return w, (x @ w).mean(0), (x @ w).std(0)

    def objective(prepared):
        w, mean, deviation = prepared
        return jnp.std((x @ w - mean[None]) / deviation[None])

    found = diagnostics.interpolation(objective, a, b, points=3, prepare=prepare)
    np.testing.assert_allclose(found.values, 1, rtol=1e-5)


def test_the_plane_of_a_path_is_that_of_numpy(x64):
    case = problem()
    points = others(case, 6)
    plane = jax.jit(diagnostics.pca_plane)(stack_trees(points))
    x = np.stack([flat(p) for p in points])
    _, s, vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(plane.explained, (s**2 / (s**2).sum())[:2], rtol=1e-9)
    rows = np.stack([flat(d) for d in plane.directions])
    np.testing.assert_allclose(np.abs((rows * vt[:2]).sum(1)), 1, rtol=1e-9)
    np.testing.assert_allclose(plane.path, (x - x[-1]) @ rows.T, atol=1e-9)
    off = x - x[-1] - plane.path @ rows
    np.testing.assert_allclose(plane.distance, np.linalg.norm(off, axis=1), atol=1e-9)
    np.testing.assert_array_equal(flat(plane.center), x[-1])
    assert (plane.path[0] >= 0).all() and not np.any(plane.path[-1])
    for grid, along in ((plane.x, plane.path[:, 0]), (plane.y, plane.path[:, 1])):
        assert 0 in grid and grid[0] < along.min() and grid[-1] > along.max()


def test_a_path_in_a_plane_lies_on_its_surface():
    params, (first, second) = np.arange(4.0, dtype=np.float32), np.eye(4, dtype=np.float32)[:2]
    path = np.stack([params + 3 * first, params + first + second, params])

    def objective(p):
        return (p**3).sum()

    @jax.jit
    def computed(path):
        plane = diagnostics.pca_plane(path, steps=9)
        at = plane.path[:, 0], plane.path[:, 1]
        surface = diagnostics.loss_surface(
            objective, plane.center, plane.directions, coordinates=at
        )
        return plane, surface

    plane, surface = computed(path)
    np.testing.assert_allclose(plane.distance, 0, atol=1e-5)
    np.testing.assert_allclose(plane.explained.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(np.diag(surface.values), [objective(p) for p in path], rtol=1e-5)
    straight, _ = computed(params + np.arange(3, dtype=np.float32)[:, None] * first)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(straight))
    np.testing.assert_allclose(straight.explained, [1, 0], atol=1e-6)
    still, _ = computed(np.ones((3, 4), np.float32))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(still))
    assert (np.diff(still.x) > 0).all()


PARAMS = jnp.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: diagnostics.loss_surface(jnp.sum, PARAMS, PARAMS),
            InputError,
            r"one or two pytrees in a tuple, got ArrayImpl; \(direction,\) is one",
        ),
        (
            lambda: diagnostics.loss_surface(jnp.sum, PARAMS, (PARAMS,) * 3),
            InputError,
            "one or two pytrees in a tuple, got 3",
        ),
        (
            lambda: diagnostics.loss_surface(jnp.sum, PARAMS, (PARAMS, jnp.ones(4))),
            InputError,
            r"directions\[1\] must be built as the parameters, a leaf of shape \(3,\), got a leaf",
        ),
        (
            lambda: diagnostics.loss_surface(lambda p: p, PARAMS, (PARAMS,)),
            InputError,
            r"a scalar or a dict of scalars, got shape \(3,\)",
        ),
        (
            lambda: diagnostics.loss_surface(jnp.sum, PARAMS, (PARAMS,), coordinates=(0.5,)),
            InputError,
            r"one 1-D array for each direction, got shapes \[\(\)\] for 1",
        ),
        (
            lambda: diagnostics.loss_surface(jnp.sum, PARAMS, (PARAMS,), steps=1),
            ArgumentError,
            "steps must be >= 2, got 1",
        ),
        (
            lambda: diagnostics.interpolation(jnp.sum, {"a": PARAMS}, PARAMS),
            InputError,
            "interpolation: b must be built as the parameters",
        ),
        (
            lambda: diagnostics.linear_mode_connectivity(jnp.sum, PARAMS, PARAMS, points=2),
            ArgumentError,
            "points must be >= 3",
        ),
        (
            lambda: diagnostics.pca_plane(jnp.ones((2, 4))),
            InputError,
            r"one T >= 3 with at least 2 floating parameters, got shapes \[\(2, 4\)\]",
        ),
        (lambda: diagnostics.pca_plane(jnp.ones((4, 1))), InputError, "at least 2 floating"),
        (lambda: diagnostics.pca_plane({}), InputError, r"got shapes \[\]"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
