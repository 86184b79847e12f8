"""What every optimizer of `compat` keeps."""

import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references.network import START, loss

from jaxopt_lab.compat import keras, torch
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import hints
from jaxopt_lab.testing import transformation as promises

# Every structure: with all that a function can keep in its state.
FULL = {
    ("keras", "SGD"): {"momentum": 0.9, "weight_decay": 0.1, "use_ema": True, "clipnorm": 1.0},
    ("keras", "RMSprop"): {"momentum": 0.9, "centered": True, "global_clipnorm": 1.0},
    ("keras", "Adam"): {"amsgrad": True, "use_ema": True, "ema_overwrite_frequency": 3},
    ("torch", "SGD"): {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1, "maximize": True},
    ("torch", "RMSprop"): {"momentum": 0.9, "centered": True},
    ("torch", "Adagrad"): {"lr_decay": 0.1, "weight_decay": 0.1},
    ("torch", "Adam"): {"amsgrad": True, "weight_decay": 0.1},
    ("torch", "AdamW"): {"amsgrad": True},
    ("torch", "NAdam"): {"weight_decay": 0.1, "decoupled_weight_decay": True},
}
TABLES = {"keras": keras.OPTIMIZERS, "torch": torch.OPTIMIZERS}
ALL = [(library, name, {}) for library in TABLES for name in TABLES[library]]
ALL += [(*key, arguments) for key, arguments in FULL.items()]


@pytest.fixture(params=ALL, ids=lambda p: ".".join([*p[:2], *p[2]]), name="make")
def _make(request):
    library, name, arguments = request.param
    return functools.partial(TABLES[library][name], **arguments)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_structure_and_dtypes_never_change(make, dtype):
    tx = make()
    params = jax.tree.map(lambda p: p.astype(dtype), START) | {
        "empty": {},
        "s": jnp.ones([], dtype),
    }
    given = lambda params, step: (params, {"value": jnp.ones([]), "unknown": None})  # noqa: E731
    promises.keeps_structure_and_dtypes(tx, params, given)
    promises.state_is_wide(tx, params)


def test_takes_numbers_and_names_what_is_missing(make):
    promises.takes_numbers_and_names_what_is_missing(make())


def test_leaves_whole_numbers_alone(make):
    promises.leaves_whole_numbers_alone(make(), promises.some_params())


@pytest.mark.parametrize("library", TABLES)
def test_float_gradients_of_whole_numbers_move_nothing(library):
    tx, params = TABLES[library]["SGD"](0.1), {"n": jnp.array([2**24 + 1, -7]), "w": jnp.ones(2)}
    grads = jax.tree.map(lambda p: jnp.ones(p.shape), params)
    updates, _ = tx.update(grads, tx.init(params), params)
    np.testing.assert_array_equal(optax.apply_updates(params, updates)["n"], params["n"])


def test_traced_rates_and_schedules_and_scales(make):
    def last(rate, schedule, scaled):
        tx = make(rate if schedule is None else schedule)

        def body(carry, t):
            params, state = carry
            scale = 1 / (1 + t) if scaled else None
            grads = jax.grad(loss)(params, t)
            updates, state = tx.update(grads, state, params, learning_rate_scale=scale)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(body, (START, tx.init(START)), jnp.arange(4))
        return params

    falls = lambda t: 0.01 / (1 + t)  # noqa: E731
    both = jax.jit(lambda rate: (last(rate, None, True), last(0.01, falls, False)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *both(0.01))


def test_injected_hyperparameters_and_donated_buffers(make):
    static = [
        p.name
        for p in inspect.signature(make).parameters.values()
        if p.name in ("betas", "ema_overwrite_frequency")
    ]
    tx = optax.inject_hyperparams(make.func, static_args=static)(**make.keywords)
    params = jax.tree.map(jnp.array, START)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state):
        updates, state = tx.update(jax.grad(loss)(params, 0), state, params)
        return optax.apply_updates(params, updates), state

    found, state = step(params, tx.init(params))
    step(found, state)
    rate = state.hyperparams.get("learning_rate", state.hyperparams.get("lr"))
    assert rate.dtype == jnp.float32


@pytest.mark.parametrize("table", [keras.OPTIMIZERS, keras.CALLBACKS, torch.OPTIMIZERS])
def test_every_argument_is_annotated_and_documented(table):
    for function in table.values():
        text = inspect.getdoc(function)
        for name in inspect.signature(function).parameters:
            assert name in hints(function)
            assert re.search(rf"^  ([a-z_]+, )*{name}[:,]", text, re.MULTILINE), name
        assert all(f"\n{section}:" in text for section in ("Args", "Returns", "Raises"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.SGD(-0.1), "SGD: learning_rate must be "),
        (lambda: keras.SGD(momentum=1.0), "SGD: momentum must be in"),
        (lambda: keras.SGD(clipnorm=0.0), "SGD: clipnorm must be "),
        (lambda: keras.SGD(clipnorm=1.0, clipvalue=1.0), "SGD: clipvalue cannot be set beside"),
        (lambda: keras.SGD(weight_decay=-1.0), "SGD: weight_decay must be "),
        (lambda: keras.SGD(ema_overwrite_frequency=0), "SGD: ema_overwrite_frequency must be >= 1"),
        (lambda: keras.Adam(beta_2=1.0), "Adam: beta_2 must be in"),
        (lambda: keras.Adam(epsilon=float("nan")), "Adam: epsilon must be "),
        (lambda: torch.Adam(betas=(0.9, 1.0)), "Adam: betas holds a value that must be in"),
        (lambda: torch.SGD(nesterov=True), "SGD: nesterov needs momentum"),
        (lambda: torch.SGD(0.1, 0.9, 0.1, nesterov=True), "SGD: nesterov needs .* zero dampening"),
        (lambda: torch.Adagrad(lr_decay=-1.0), "Adagrad: lr_decay must be "),
    ],
)
def test_bad_input_is_told_at_once(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_parameters_are_needed_where_they_decay():
    for tx in (keras.AdamW(), torch.AdamW(), torch.SGD(weight_decay=0.1)):
        with pytest.raises(InputError, match="needs params"):
            tx.update(START, tx.init(START))


def test_torch_moves_a_complex_number_as_its_two_parts(make):
    """As PyTorch's view_as_real."""
    z, g = jnp.array([1 + 2j, -0.5j]), jnp.array([3 - 4j, 0.1 + 0j])
    tx, parts = make(), [jnp.stack([x.real, x.imag], -1) for x in (z, g)]
    if make.func in keras.OPTIMIZERS.values():
        with pytest.raises(InputError, match="is not defined for complex numbers"):
            tx.init(z)
        return
    state, real_state = tx.init(z), tx.init(parts[0])
    for _ in range(2):
        found, state = tx.update(g, state, z)
        expected, real_state = tx.update(parts[1], real_state, parts[0])
        assert found.dtype == z.dtype
        np.testing.assert_array_equal(jnp.stack([found.real, found.imag], -1), expected)
