"""What every model keeps: `init(key, x, train=)`, `apply(variables, x, train=)`, vmapped seeds."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.testing.compare import close, holds


def gives_a_row_a_sample(model: Any, shape: tuple[int, ...], dtype: Any, outputs: int) -> None:
    """(B, ...) in, (B, outputs) in the dtype of the parameters out."""

    def apply(key: jax.Array, x: jax.Array) -> jax.Array:
        variables = model.init(key, x, train=False)
        return model.apply(cast_floating(variables, dtype), x, train=False)

    y = jax.eval_shape(apply, jax.random.key(0), jax.ShapeDtypeStruct(shape, dtype))
    found = (y.shape, y.dtype)
    holds(found == ((shape[0], outputs), dtype), f"a row of {outputs} a sample, not {found}")


def seeds_are_vmapped(model: Any, x: jax.Array) -> None:
    """Vmapped over keys, `init` gives what each key gives alone."""
    keys = jax.random.split(jax.random.key(0), 3)
    together, alone = jax.jit(
        lambda keys: (jax.vmap(model.init, (0, None))(keys, x), model.init(keys[1], x))
    )(keys)
    lane = jax.tree.map(lambda leaf: leaf[1], together)
    close(lane, alone, "vmapped seeds are the seeds alone", atol=1e-6)


def noise_acts_in_training_only(model: Any, x: jax.Array) -> None:
    """Another key of dropout gives other outputs in training, and the same ones in evaluation."""

    @partial(jax.jit, static_argnums=1)
    def outputs(key: jax.Array, train: bool) -> jax.Array:
        variables = model.init(jax.random.key(0), x)
        apply = partial(model.apply, variables, x, train=train, mutable=["batch_stats"])
        return apply(rngs={"dropout": key})[0]

    one, other = jax.random.key(0), jax.random.key(1)
    differ = bool(jnp.any(outputs(one, True) != outputs(other, True)))
    holds(differ, "in training the noise is drawn by its key")
    a, b = (np.asarray(outputs(key, False)) for key in (one, other))
    np.testing.assert_array_equal(a, b, "in evaluation there is no noise")
