"""The curvature of the objective on one batch, as an argument."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import optax

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.mask import Mask, said_of
from jaxopt_lab.core.tree import flatten_with_names, widen
from jaxopt_lab.core.types import Batch, Params
from jaxopt_lab.linalg import (
    Product,
    fisher_operator,
    ggn_operator,
    hessian_operator,
    per_example_grads,
)
from jaxopt_lab.losses.samplers import categorical
from jaxopt_lab.second_order._kron_factors import KronFactors, kron_factors
from jaxopt_lab.second_order.root_columns import root_columns

Matrix = Literal["hessian", "ggn", "mc", "empirical"]
Fisher = Literal["ggn", "mc", "empirical"]
"""The Gauss-Newton matrix, the Fisher of labels drawn from the model, or that of the true ones."""


_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Curvature:
    """The curvature of the objective on one batch, as an argument: products, never matrices.

    Build it inside the traced step and hand it to an optimizer that asks for it:

        curvature = Curvature(params, model_fn, output_loss, batch, key)
        updates, state = tx.update(grads, state, params, curvature=curvature)

    What is not called costs nothing. The objective is the mean of the losses over the batch, and so
    are all matrices. Products are taken at `params` in float32 or wider and never by forward mode
    through `model_fn`. Each `vmap` lane has its own `key`, so its own probes and labels.

    Args:
      params: all parameters, a pytree of floating arrays.
      model_fn: static; `(params, batch) -> outputs` (B, ...), with whatever model state and random
        numbers it needs held fixed.
      output_loss: static; `(outputs, labels) -> (B,)`, such as `losses.softmax_cross_entropy`.
      batch: a dict of arrays with leading axis B, labels in `batch["y"]`.
      key: this step's.
      sample_label: static; `(key, outputs) -> labels` drawn from the model: `categorical`, `normal`
        or `bernoulli`, whichever belongs to the loss.
      subset: static; the structure of the parameters that it is restricted to, by `restrict`.
    """

    params: Params
    model_fn: Callable[[Params, Batch], jax.Array] = field(metadata=_STATIC)
    output_loss: Callable[[jax.Array, jax.Array], jax.Array] = field(metadata=_STATIC)
    batch: Batch
    key: jax.Array
    sample_label: Callable[[jax.Array, jax.Array], jax.Array] = field(
        default=categorical, metadata=_STATIC
    )
    subset: Any = field(default=None, metadata=_STATIC)

    def restrict(self, mask: Mask) -> "Curvature":
        """The same, of a part of the parameters; the others keep their values.

        The part has the structure of the parameters with `optax.MaskedNode()` where they are left
        out, as `optax.masked` and `optax.partition` give it, so its products are those with the
        principal submatrix.

        Args:
          mask: a pytree of bools as the parameters or a prefix of it, or a function giving one.
        """
        if mask is None:
            return self
        chosen = said_of(mask, self.params)
        part = jax.tree.map(lambda m, p: p if m else optax.MaskedNode(), chosen, self.params)
        return dataclasses.replace(self, subset=jax.tree.structure(part))

    @property
    def variables(self) -> Params:
        """The parameters of the products, float32 or wider: all, or the part of `restrict`."""
        if self.subset is None:
            return widen(self.params)
        part = self.subset.unflatten([True] * self.subset.num_leaves)
        return jax.tree.map(
            lambda m, p: m if _is_hole(m) else widen(p), part, self.params, is_leaf=_is_hole
        )

    def outputs(self, variables: Params | None = None) -> jax.Array:
        """The model's outputs (B, ...), float32 or wider, at other `variables` where given."""
        variables = self.variables if variables is None else variables
        return self._model(variables, self.batch)

    def value(self, variables: Params | None = None) -> jax.Array:
        """The objective: the mean of the losses, at other `variables` where they are given."""
        return self.output_loss(self.outputs(variables), self.batch["y"]).mean()

    def gradient(self) -> Params:
        """The gradient of the objective."""
        return jax.grad(self.value)(self.variables)

    def sampled_labels(self) -> jax.Array:
        """Labels drawn from the model with `key`: the same at every call."""
        return self._draw(self.outputs())

    @property
    def probe_key(self) -> jax.Array:
        """The key of this step's random probes; `key` itself draws the labels."""
        return jax.random.fold_in(self.key, 1)

    def operator(self, kind: Matrix) -> Product:
        """`v -> A v`, linearized once, for a loop: of the Hessian, the Gauss-Newton matrix, the
        Fisher of labels drawn from the model ("mc"), or the empirical Fisher.
        """
        if kind == "hessian":
            return hessian_operator(self.value, self.variables)
        if kind == "ggn":
            return ggn_operator(self.outputs, self._losses, self.variables)
        if kind not in ("mc", "empirical"):
            raise ArgumentError(
                "Curvature.operator",
                {"kind": f"must be 'hessian', 'ggn', 'mc' or 'empirical', got {kind!r}"},
            )
        outputs = self.outputs()
        labels = self._draw(outputs) if kind == "mc" else self.batch["y"]
        output_grads = jax.grad(lambda z: self.output_loss(z, labels).sum())(outputs)
        return fisher_operator(self.outputs, output_grads, self.variables)

    def hvp(self, v: Params) -> Params:
        """The Hessian's product with `v`."""
        return self.operator("hessian")(v)

    def ggn_vp(self, v: Params) -> Params:
        """The generalized Gauss-Newton matrix's product with `v`."""
        return self.operator("ggn")(v)

    def fisher_vp(self, v: Params, kind: Literal["mc", "empirical"] = "mc") -> Params:
        """The product with `v` of the Fisher of one draw of labels, or of the empirical Fisher."""
        return self.operator(kind)(v)

    def per_example_grads(self, labels: jax.Array | None = None) -> Params:
        """Each sample's gradient, as if it were alone: a leading axis of B on every leaf.

        Not defined for a model with batch normalization in training mode, which mixes samples: a
        batch of one has no spread. Dropout there draws one mask for all of them.

        Args:
          labels: in place of the batch's; `sampled_labels()` for the Fisher's.
        """
        batch = self.batch if labels is None else {**self.batch, "y": labels}

        def losses(variables, batch):
            return self.output_loss(self._model(variables, batch), batch["y"])

        return per_example_grads(losses, self.variables, batch)

    def fisher_grads(self, kind: Literal["mc", "empirical"]) -> Params:
        """The per-example gradients whose mean outer product is that Fisher."""
        return self.per_example_grads(self.sampled_labels() if kind == "mc" else None)

    def ggn_diagonal(self) -> Params:
        """The exact diagonal of the Gauss-Newton matrix, by as many per-example backward passes as
        there are outputs; not for batch normalization, as `per_example_grads`.

            diag G = 1/B sum_i sum_k (J_i^T s_ik)^2,    H_i = sum_k s_ik s_ik^T
        """
        columns = root_columns(self.output_loss, self.outputs(), self.batch["y"])

        def along(variables, given):
            batch, column = given
            return (column * self._model(variables, batch)).reshape(len(column), -1).sum(-1)

        def add(total, column):
            grads = per_example_grads(along, self.variables, (self.batch, column))
            return jax.tree.map(lambda t, g: t + (g * g).mean(0), total, grads), None

        return jax.lax.scan(add, optax.tree.zeros_like(self.variables), columns)[0]

    def kron_factors(self, **options: Any) -> KronFactors:
        """Kronecker factors of the layers' blocks, as the function `kron_factors` gives them."""
        if self.subset is not None:
            options.setdefault("only", tuple(flatten_with_names(self.variables)))
        return kron_factors(self, **options)

    def _model(self, variables: Params, batch: Batch) -> jax.Array:
        return widen(self.model_fn(self._all(variables), batch))

    def _all(self, variables: Params) -> Params:
        """The model's parameters: `variables`, and the given ones where these have holes."""
        if self.subset is None:
            return variables
        return jax.tree.map(
            lambda v, p: widen(p) if _is_hole(v) else v, variables, self.params, is_leaf=_is_hole
        )

    def _losses(self, outputs: jax.Array) -> jax.Array:
        return self.output_loss(outputs, self.batch["y"])

    def _draw(self, outputs: jax.Array) -> jax.Array:
        return jax.lax.stop_gradient(self.sample_label(self.key, outputs))


def read_curvature(method: str, curvature: Curvature | None, grads: Params) -> Curvature:
    """The curvature that `update` was given, of the leaves that it was given gradients of.

    Raises:
      InputError: where there is none.
    """
    if curvature is None:
        raise InputError(
            f"{method}: update needs the extra curvature of this batch, got None: tx.update(grads, "
            "state, params, curvature=second_order.Curvature(params, model_fn, loss, batch, key))"
        )
    given = jax.tree.map(lambda g: not _is_hole(g), grads, is_leaf=_is_hole)
    return curvature if all(jax.tree.leaves(given)) else curvature.restrict(given)


def _is_hole(x: Any) -> bool:
    return isinstance(x, optax.MaskedNode)
