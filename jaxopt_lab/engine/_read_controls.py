"""The last look at controls that judge a measurement at the call after it."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.metrics import on_batch
from jaxopt_lab.core.types import Metric, Optimizer
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState


def read_controls(state: TrainState, optimizer: Optimizer, **extra: Any) -> Any:
    """The optimizer's state once it has seen the last evaluation, for reading only.

    A control judges an evaluation when the next step brings it. After the last step there is no
    next one, so `update` is called once more, with gradients of zero. Read what was judged from
    this state (best parameters, whether it stopped); all else from `state.opt_state`.

    Args:
      state: of a run that has ended.
      optimizer: the one it was trained with.
      extra: what else its `update` needs, such as `curvature`, of any batch.

    Returns:
      The optimizer's state.
    """
    zeros = jax.tree.map(jnp.zeros_like, state.params)
    nothing = Metric(jnp.array(jnp.nan), jnp.array(False))
    batch_metrics = {on_batch(name): nothing for name in state.evaluation}
    _, opt_state = optax.with_extra_args_support(optimizer).update(
        zeros,
        state.opt_state,
        state.params,
        value=jnp.zeros([]),
        metrics={"loss": nothing, **batch_metrics, **state.evaluation},
        key=stream_key(state.key, Stream.OPTIMIZER, state.step),
        grad_fn=lambda params: zeros,
        **extra,
    )
    return opt_state
