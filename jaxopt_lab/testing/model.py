"""What every model keeps: `init(key, x, train=)`, `apply(variables, x, train=)`, vmapped seeds."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.testing.compare import close, finite, holds


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
    training_draws_by_its_key(model, x)
    evaluation_draws_nothing(model, x)


def training_draws_by_its_key(model: Any, x: jax.Array) -> None:
    """Another key of dropout gives other outputs in training."""
    one, other = _by_two_keys(model, x, True)
    holds((one != other).any(), "in training the noise is drawn by its key")


def evaluation_draws_nothing(model: Any, x: jax.Array) -> None:
    """Another key of dropout gives the same outputs in evaluation."""
    one, other = _by_two_keys(model, x, False)
    close(one, other, "in evaluation there is no noise")


def _by_two_keys(model: Any, x: jax.Array, train: bool) -> list[np.ndarray]:
    @jax.jit
    def outputs(key: jax.Array) -> jax.Array:
        variables = model.init(jax.random.key(0), x, train=False)
        apply = partial(model.apply, variables, x, train=train, mutable=["batch_stats"])
        return apply(rngs={"dropout": key})[0]

    return [np.asarray(outputs(jax.random.key(seed))) for seed in (0, 1)]


def a_row_alone_is_the_row_in_a_batch(model: Any, x: jax.Array, atol: float = 1e-5) -> None:
    """In evaluation a sample's outputs do not depend on its neighbors.

    Args:
      model: the network.
      x: a batch of samples that differ.
      atol: products of another batch size are summed in another order: a few digits of float32.
    """
    variables = model.init(jax.random.key(0), x, train=False)
    together = model.apply(variables, x, train=False)
    alone = model.apply(variables, x[:1], train=False)
    close(alone, together[:1], "a row alone is the row in its batch", 1e-5, atol)


def jit_equals_eager(model: Any, x: jax.Array, atol: float = 1e-5) -> None:
    """Compiled outputs are the eager ones."""
    variables = model.init(jax.random.key(0), x, train=False)
    apply = partial(model.apply, train=False)
    jitted, eager = (f(variables, x) for f in (jax.jit(apply), apply))
    close(jitted, eager, "jitted outputs equal eager ones", 1e-5, atol)


def gradients_are_finite(model: Any, x: jax.Array) -> None:
    """The gradient of the outputs' squares, in training, is finite."""
    variables = dict(model.init(jax.random.key(0), x, train=False))
    params = variables.pop("params")

    def loss(params: Any) -> jax.Array:
        how = {"rngs": {"dropout": jax.random.key(0)}, "mutable": ["batch_stats"]}
        outputs, _ = model.apply({"params": params, **variables}, x, train=True, **how)
        return jnp.sum(outputs**2 + outputs)

    finite(jax.jit(jax.grad(loss))(params), "gradients are finite")
