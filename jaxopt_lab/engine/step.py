"""One training step, pure."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.metrics import SKIPPED
from jaxopt_lab.core.types import Batch, Loss, Metric, Optimizer
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.frozen import NOTHING, Frozen
from jaxopt_lab.engine.gradient import make_gradient
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.meter import ROW, Meter, Seen
from jaxopt_lab.engine.needs import ADVERSARY, AUGMENT, OPTIMIZER
from jaxopt_lab.engine.objective import Objective
from jaxopt_lab.engine.state import TrainState

Augment = Callable[[jax.Array, Batch], Batch]
Attack = Callable[[jax.Array, Batch, Callable[[jax.Array], jax.Array]], Batch]
Prepare = Callable[[TrainState, Batch], Batch]
Step = Callable[..., tuple[TrainState, dict[str, jax.Array]]]
"""`(state, batch, at=None) -> (state, metrics)`; `at` is `state.step`, as who counts the steps has
it: under `vmap` one number for all lanes."""


def make_step(
    forward: Forward,
    objective: Objective,
    optimizer: Optimizer,
    *,
    prepare: Prepare | None = None,
    curvature: CurvatureOf | None = None,
    learning_rate: Callable[[jax.Array, Any], jax.Array] | None = None,
    stopped: Callable[[Any], jax.Array] | None = None,
    skipped: Callable[[Any], jax.Array] | None = None,
    microbatches: int = 1,
    frozen: Frozen = NOTHING,
    meter: Meter | None = None,
) -> Step:
    """A training step `(state, batch) -> (state, metrics)` for jit, scan, vmap and sharding.

    The optimizer's `update` is given the extras `value`, `metrics`, `key` and `grad_fn`.

    Args:
      forward: the model.
      objective: what is minimized; the sum of its terms is the extra `value`.
      optimizer: an optax transformation.
      prepare: `(state, batch) -> batch`, from `make_prepare`: augmentation and attacks.
      curvature: `(state, batch) -> curvature` of the prepared batch, from `make_curvature`: the
        extra of that name, for optimizers that need it.
      learning_rate: `(step, opt_state) -> scalar`, of the state after the step, returned among the
        metrics.
      stopped: `opt_state -> bool scalar`; once true the run is frozen whole, its model state and
        its step included, and the metrics of later steps mean nothing.
      skipped: `opt_state -> int32 scalar`, how many steps the optimizer has left out, whose model
        state is left out with them; returned among the metrics as `SKIPPED`.
      microbatches, frozen: of `make_gradient`.
      meter: what is measured of every so many steps; its numbers are the metric `meter.ROW`. The
        optimizer is given the extra `measured` then, whether this step is one of them.

    Returns:
      The step. A batch is `{"x": (B, ...), "y": (B, ...)}`, and perhaps `weight` and `mask`; the
      metrics are float32 scalars: the terms of the objective, its measures, and `learning_rate`
      where given.
    """
    gradient = make_gradient(forward, objective, microbatches, frozen)
    update = optax.with_extra_args_support(optimizer).update

    def step(state: TrainState, batch: Batch, at: jax.Array | None = None):
        if prepare is not None:
            batch = prepare(state, batch)
        model_key = stream_key(state.key, Stream.MODEL, state.step)

        def slope(params):
            return gradient(params, state.model_state, batch, model_key)

        (value, (row, model_state)), grads = slope(state.params)
        new = jnp.array(True)
        due = None if meter is None else meter.due(state.step if at is None else at)
        with jax.named_scope(OPTIMIZER):
            updates, opt_state = update(
                grads,
                state.opt_state,
                state.params,
                value=value,
                metrics=state.evaluation | {name: Metric(v, new) for name, v in row.items()},
                key=stream_key(state.key, Stream.OPTIMIZER, state.step),
                grad_fn=lambda params: slope(params)[1],
                **({} if curvature is None else {"curvature": curvature(state, batch)}),
                **({} if meter is None else {"measured": due}),
            )
        if learning_rate is not None:
            row["learning_rate"] = jnp.asarray(learning_rate(state.step, opt_state), float)
        if skipped is not None:
            total = skipped(opt_state)
            row[SKIPPED] = jnp.asarray(total, float)
            left_out = total > skipped(state.opt_state)
            model_state = _chosen(left_out, state.model_state, model_state)
        if meter is not None:
            row[ROW] = meter.row(due, Seen(state.params, grads, updates, opt_state))
        evaluation = {
            k: m._replace(ready=jnp.zeros_like(m.ready)) for k, m in state.evaluation.items()
        }
        after = TrainState(
            step=state.step + 1,
            key=state.key,
            params=optax.apply_updates(state.params, updates),
            model_state=model_state,
            opt_state=opt_state,
            evaluation=evaluation,
            probe=state.probe,
        )
        return after if stopped is None else _frozen(state, after, stopped(opt_state)), row

    return step


def make_prepare(
    forward: Forward, loss: Loss, *, augment: Augment | None = None, attack: Attack | None = None
) -> Prepare | None:
    """`(state, batch) -> batch`: what happens to a batch before the loss sees it; None for nothing.

    Args:
      forward: the model, for the attack.
      loss: `(outputs, labels) -> (B,)`, for the attack.
      augment: `(key, batch) -> batch` on raw inputs. It may give several views of each sample, all
        of the first view and then all of the next.
      attack: `(key, batch, loss_fn) -> batch`, which moves the augmented inputs to where the loss
        is large. `loss_fn(x) -> (B,)` is that of the parameters before the step in evaluation
        mode, so that running statistics stand still and samples do not depend on each other.
    """
    if augment is None and attack is None:
        return None

    def prepare(state: TrainState, batch: Batch) -> Batch:
        if augment is not None:
            with jax.named_scope(AUGMENT):
                batch = augment(stream_key(state.key, Stream.AUGMENT, state.step), batch)
        if attack is not None:
            labels = batch["y"]

            def loss_fn(x):
                return loss(forward.evaluate(state.params, state.model_state, x), labels)

            with jax.named_scope(ADVERSARY):
                batch = attack(stream_key(state.key, Stream.ADVERSARY, state.step), batch, loss_fn)
        return batch

    return prepare


def _chosen(condition: jax.Array, tree: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), tree, other)


def _frozen(before: TrainState, after: TrainState, frozen: jax.Array) -> TrainState:
    """`after`, or where frozen `before` with the optimizer's state, which says so, of `after`."""

    return after._replace(
        step=_chosen(frozen, before.step, after.step),
        params=_chosen(frozen, before.params, after.params),
        model_state=_chosen(frozen, before.model_state, after.model_state),
    )
