"""One training step, pure."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.core.types import Batch, Metric, Params
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState

Loss = Callable[[jax.Array, jax.Array], jax.Array]
Augment = Callable[[jax.Array, Batch], Batch]
Attack = Callable[[jax.Array, Batch, Callable[[jax.Array], jax.Array]], Batch]
Step = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def make_step(
    model: Any,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    normalize: Callable[[jax.Array], jax.Array] = lambda x: x,
    augment: Augment | None = None,
    attack: Attack | None = None,
    consistency: Callable[[jax.Array], jax.Array] | None = None,
    penalty: Callable[[Params], jax.Array] | None = None,
    curvature: CurvatureOf | None = None,
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
      augment: `(key, batch) -> batch` on raw images. It may give several views of each sample,
        all of the first view and then all of the next; the loss and the metrics are of the first.
      attack: `(key, batch, loss_fn) -> batch`, which moves the augmented images to where the loss
        is large. `loss_fn(images) -> (B,)` is that of the parameters before the step in evaluation
        mode, so that running statistics stand still and samples do not depend on each other.
      consistency: `(views, B, K) outputs -> (B,)`, whose mean is added to the loss.
      penalty: `params -> scalar`, added to the mean loss; what is minimized is the sum, which is
        the extra `value`.
      curvature: `(state, batch) -> curvature` of the augmented batch, from `make_curvature`: the
        extra of that name, for optimizers that ask for it.
      metrics: `{name: (outputs, labels) -> (B,)}`, means of which are returned beside the loss.
      learning_rate: `(step, opt_state) -> scalar`, of the state after the step, returned among the
        metrics.
      stopped: `opt_state -> bool scalar`; once true the run is frozen whole, its model state and
        its step included, and the metrics of later steps mean nothing.
      dtype: of the computation; parameters, statistics and the loss stay float32.

    Returns:
      The step. A batch is `{"x": (B, H, W, C), "y": (B,) or (B, K)}`; the metrics are
      float32 scalars: `loss` alone, `consistency`, `penalty` and `learning_rate` where given, and
      those of `metrics`.
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        if augment is not None:
            batch = augment(stream_key(state.key, Stream.AUGMENT, state.step), batch)
        if attack is not None:
            batch = attack(
                stream_key(state.key, Stream.ADVERSARY, state.step),
                batch,
                evaluation_loss(
                    model,
                    loss,
                    state.params,
                    state.model_state,
                    batch["y"],
                    normalize=normalize,
                    dtype=dtype,
                ),
            )
        image, label = batch["x"], batch["y"]
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
            first = outputs[: len(label)]
            row = {"loss": loss(first, label).mean().astype(jnp.float32)}
            if consistency is not None:
                views = outputs.reshape(-1, *first.shape)
                row["consistency"] = consistency(views).mean().astype(jnp.float32)
            if penalty is not None:
                row["penalty"] = penalty(params)
            return sum(row.values()), (row, first, dict(model_state))

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
            **({} if curvature is None else {"curvature": curvature(state, batch)}),
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


def evaluation_loss(
    model: Any,
    loss: Loss,
    params: Params,
    model_state: dict[str, Any],
    label: jax.Array,
    *,
    normalize: Callable[[jax.Array], jax.Array],
    dtype: Any,
) -> Callable[[jax.Array], jax.Array]:
    """`images -> (B,)`: the loss in evaluation mode as a function of the raw images, to attack."""
    variables = {"params": cast_floating(params, dtype), **model_state}

    def of_images(images):
        outputs = model.apply(variables, normalize(images).astype(dtype), train=False)
        return loss(outputs, label)

    return of_images


def _frozen(before: TrainState, after: TrainState, frozen: jax.Array) -> TrainState:
    """`after`, or where frozen `before` with the optimizer's state, which says so, of `after`."""

    def select(old, new):
        return jax.tree.map(lambda a, b: jnp.where(frozen, a, b), old, new)

    return after._replace(
        step=select(before.step, after.step),
        params=select(before.params, after.params),
        model_state=select(before.model_state, after.model_state),
    )
