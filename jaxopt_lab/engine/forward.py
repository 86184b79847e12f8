"""The one place where a model is applied."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.signatures import takes
from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.core.types import Model, ModelState, Params


def _is_product(primitive: Any, *operands: Any, **parameters: Any) -> bool:
    """Whether the result of an operation is worth its memory: it takes long to compute again."""
    del operands, parameters
    return primitive.name in ("dot_general", "conv_general_dilated", "custom_vjp_call")


def _require_model(model: Any) -> None:
    """Make sure that a model has `init` and `apply`, and can be told whether it trains."""
    name = type(model).__name__
    remedy = "nn.as_model(model) makes one of a module of Linen, NNX or Equinox"
    if isinstance(model, type) or not isinstance(model, Model):
        raise InputError(
            f"the model, {model.__name__ if isinstance(model, type) else name}, has no "
            f"init(rngs, x, train=...) and apply(variables, x, train=...) to be called: {remedy}"
        )
    called = type(model).__call__ if isinstance(model, nn.Module) else model.apply
    if not takes(called, "train"):
        raise InputError(f"the model, {name}, takes no argument train: {remedy}")


def _unchanged(x: jax.Array) -> jax.Array:
    return x


class Forward(NamedTuple):
    """A model with all that goes around it: raw inputs in, outputs out.

    Who needs a forward pass, be it the loss, the curvature, an attack or an evaluation, calls this
    object, because a pass written twice could see another dropout mask or another dtype.

    Attributes:
      model: with `init(rngs, x, train=...)` and `apply(variables, x, train=...)`.
      normalize: raw inputs to the model's, float32.
      dtype: of the computation; parameters and the other collections stay float32.
      guard: a context manager around the model's training pass, to look at its layers.
      remat: whether the backward pass computes again what lies between products and convolutions,
        such as activations and normalizations, in place of keeping it.
      place: brings parameters to where they are to be while the model is applied, as
        `Layout.gathered`; None to leave them.
    """

    model: Model
    normalize: Callable[[jax.Array], jax.Array] = _unchanged
    dtype: Any = jnp.float32
    guard: Callable[[], AbstractContextManager[Any]] = nullcontext
    remat: bool = False
    place: Callable[[Params], Params] | None = None

    def init(self, key: jax.Array, x: jax.Array) -> tuple[Params, ModelState]:
        """The first parameters and the other collections, for normalized inputs such as `x`.

        Raises:
          InputError: where the model is none, with the remedy.
        """
        _require_model(self.model)
        variables = dict(self.model.init(key, x, train=False))
        return variables.pop("params", None), variables

    def train(
        self, params: Params, model_state: ModelState, x: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, ModelState]:
        """Apply the model in training mode.

        Args:
          params: the trained pytree.
          model_state: the model's other collections.
          x: raw inputs, (B, ...).
          key: of this pass; dropout has one of its own, drawn from it.

        Returns:
          The outputs, and the collections after the pass.
        """

        def apply(variables, x, key):
            outputs, changed = self.model.apply(
                variables,
                x,
                train=True,
                rngs={"params": key, "dropout": jax.random.fold_in(key, 1)},
                mutable=list(model_state),
            )
            return outputs, dict(changed)

        if self.remat:
            apply = jax.checkpoint(apply, policy=_is_product)
        with self.guard():
            return apply(self._variables(params, model_state), self._inputs(x), key)

    def evaluate(self, params: Params, model_state: ModelState, x: jax.Array) -> jax.Array:
        """The outputs for raw inputs (B, ...) in evaluation mode: no sample sees another."""
        return self.model.apply(self._variables(params, model_state), self._inputs(x), train=False)

    def _variables(self, params: Params, model_state: ModelState) -> dict[str, Any]:
        params = cast_floating(params, self.dtype)
        return {"params": self.place(params) if self.place else params, **model_state}

    def _inputs(self, x: jax.Array) -> jax.Array:
        return self.normalize(x).astype(self.dtype)
