"""Under x64 every number keeps its width: paths are those of NumPy in double precision."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import OPTIMIZERS as CASES
from paths import GRADS, PARAMS, after
from references import steps

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.optimizers import OPTIMIZERS
from jaxopt_lab.testing import transformation as promises

VARIANTS = [
    *((name, {"learning_rate": 0.1}) for name in OPTIMIZERS),
    ("momentum", {"learning_rate": 0.1, "rate_inside": False}),
    ("rmsprop", {"learning_rate": 0.1, "momentum": 0.9}),
    ("rmsprop", {"learning_rate": 0.1, "centered": True}),
]


def paths(params, grads, variants):
    """Of every variant, as one program: compilation costs most."""
    params, grads = (list(map(jnp.asarray, tree)) for tree in (params, grads))
    txs = [OPTIMIZERS[name](**numbers) for name, numbers in variants]
    return jax.jit(lambda p, g: [after(tx, p, g) for tx in txs])(params, grads)


def expected(name, numbers, params, grads):
    rows = list(zip(*grads, strict=True))
    if name == "prodigy":
        return steps.prodigy(params, rows, **numbers)
    return steps.path(getattr(steps, name), params, rows, **numbers)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_paths_are_those_of_numpy(dtype):
    """Complex ones by |g|^2 in the place of g^2."""
    params, grads, variants = PARAMS, GRADS, VARIANTS
    if dtype == np.complex128:
        params, grads = ([z + 1j * z[::-1] ** 2 for z in tree] for tree in (PARAMS, GRADS))
        variants = [variant for variant in VARIANTS if variant[0] != "prodigy"]
    for (name, numbers), found in zip(variants, paths(params, grads, variants), strict=True):
        for a, b in zip(found, expected(name, numbers, params, grads), strict=True):
            assert a.dtype == dtype
            # Another order of roundings, magnified by what a step divides by.
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13, err_msg=f"{name} {numbers}")


def test_prodigy_refuses_complex_parameters():
    with pytest.raises(InputError, match="prodigy: is not defined for complex numbers, got comp"):
        OPTIMIZERS["prodigy"]().init({"w": jnp.ones(2, jnp.complex64)})


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_narrow_parameters_keep_their_dtypes(name):
    """With a schedule, whose values are float64."""
    tx = OPTIMIZERS[name](**{**CASES[name], "learning_rate": lambda step: 0.1 / (1 + step)})
    params = promises.some_params() | {"half": jnp.ones(3, jnp.bfloat16)}
    promises.keeps_structure_and_dtypes(tx, params)


def test_every_method_has_a_reference():
    for name in OPTIMIZERS:
        assert "learning_rate" in inspect.signature(getattr(steps, name)).parameters
