"""One training step, pure."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.core.types import Batch, Metric, Params
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState

Loss = Callable[[jax.Array, jax.Array], jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def make_step(
    model: Any,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    normalize: Callable[[jax.Array], jax.Array] = lambda x: x,
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    penalty: Callable[[Params], jax.Array] | None = None,
    metrics: dict[str, Loss] | None = None,
    learning_rate: Callable[[jax.Array, Any], jax.Array] | None = None,
    stopped: Callable[[Any], jax.Array] | None = None,
    dtype: Any = jnp.float32,
) -> Step:
    """A training step `(state, batch) -> (state, metrics)` for jit, scan, vmap and sharding.

    The optimizer's `update` is given the extras `value`, `metrics`, `key` and `grad_fn`.

    Args:
      model: with `apply(variables, x, train=..., rngs=..., mutable=...)`, such as a Linen module.
      loss: `(outputs, labels) -> (B,)`.
      optimizer: an optax transformation.
      normalize: raw images to the model's input, inside the differentiated function.
      augment: `(key, images) -> images` on raw images.
      penalty: `params -> scalar`, added to the mean loss; what is minimized is the sum, which is
        the extra `value`.
      metrics: `{name: (outputs, labels) -> (B,)}`, means of which are returned beside the loss.
      learning_rate: `(step, opt_state) -> scalar`, of the state after the step, returned among the
        metrics.
      stopped: `opt_state -> bool scalar`; once true the run is frozen whole, its model state and
        its step included, and the metrics of later steps mean nothing.
      dtype: of the computation; parameters, statistics and the loss stay float32.

    Returns:
      The step. A batch is `{"image": (B, H, W, C), "label": (B,) or (B, K)}`; the metrics are
      float32 scalars: `loss` without the penalty, `penalty` and `learning_rate` where given, and
      those of `metrics`.
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        image, label = batch["image"], batch["label"]
        if augment is not None:
            image = augment(stream_key(state.key, Stream.AUGMENT, state.step), image)
        model_key = stream_key(state.key, Stream.MODEL, state.step)

        def objective(params):
            x = normalize(image).astype(dtype)
            outputs, model_state = model.apply(
                {"params": cast_floating(params, dtype), **state.model_state},
                x,
                train=True,
                rngs={"params": model_key, "dropout": jax.random.fold_in(model_key, 1)},
                mutable=list(state.model_state),
            )
            row = {"loss": loss(outputs, label).mean().astype(jnp.float32)}
            if penalty is not None:
                row["penalty"] = penalty(params)
            return sum(row.values()), (row, outputs, dict(model_state))

        gradient = jax.value_and_grad(objective, has_aux=True)
        (value, (row, outputs, model_state)), grads = gradient(state.params)
        row |= {name: f(outputs, label).mean() for name, f in (metrics or {}).items()}
        new = jnp.array(True)
        updates, opt_state = optimizer.update(
            grads,
            state.opt_state,
            state.params,
            value=value,
            metrics=state.evaluation | {name: Metric(v, new) for name, v in row.items()},
            key=stream_key(state.key, Stream.OPTIMIZER, state.step),
            grad_fn=lambda params: gradient(params)[1],
        )
        if learning_rate is not None:
            row["learning_rate"] = jnp.asarray(learning_rate(state.step, opt_state), jnp.float32)
        seen = {k: m._replace(ready=jnp.zeros_like(m.ready)) for k, m in state.evaluation.items()}
        after = TrainState(
            step=state.step + 1,
            key=state.key,
            params=optax.apply_updates(state.params, updates),
            model_state=model_state,
            opt_state=opt_state,
            evaluation=seen,
        )
        return after if stopped is None else _frozen(state, after, stopped(opt_state)), row

    return step


def _frozen(before: TrainState, after: TrainState, frozen: jax.Array) -> TrainState:
    """`after`, or where frozen `before` with the optimizer's state, which says so, of `after`."""

    def select(old, new):
        return jax.tree.map(lambda a, b: jnp.where(frozen, a, b), old, new)

    return after._replace(
        step=select(before.step, after.step),
        params=select(before.params, after.params),
        model_state=select(before.model_state, after.model_state),
    )
