"""`--dry-run`: shapes, sizes and memory of a run, by abstract evaluation; nothing is trained."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.config.build import Experiment
from jaxopt_lab.core.tree import cast_floating, flatten_with_names, size_bytes
from jaxopt_lab.run.progress import Progress


def dry_run(experiment: Experiment, see: Progress) -> None:
    """Print the model summary, the parameter count and an account of memory."""
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    shape = (experiment.batch_size, *experiment.train["x"].shape[1:])
    outputs = jax.eval_shape(
        lambda v, x: experiment.model.apply(v, x, train=False),
        {"params": state.params, **state.model_state},
        jax.ShapeDtypeStruct(shape, jnp.float32),
    )
    count = sum(x.size for x in jax.tree.leaves(state.params))
    see.columns(
        f"{experiment.config.model.name}: {shape} -> {outputs.shape}",
        ("parameter", "shape", "dtype", "count"),
        [
            (name, " x ".join(map(str, leaf.shape)) or "scalar", leaf.dtype.name, f"{leaf.size:,}")
            for name, leaf in flatten_with_names(state.params).items()
        ],
        footer=("total", "", "", f"{count:,}"),
    )
    memory = {
        "parameters": size_bytes(state.params),
        "gradients": size_bytes(state.params),
        "optimizer state": size_bytes(state.opt_state),
        "model state": size_bytes(state.model_state),
        "kept for the backward pass": _residual_bytes(experiment, state),
        "training data, as it is stored": sum(v.nbytes for v in experiment.train.values()),
    }
    total = sum(memory.values())
    see.columns(
        "memory on the device, estimated",
        ("what", "size"),
        [(name, _size(value)) for name, value in memory.items()],
        footer=("total", _size(total)),
    )
    held = len(experiment.validation["y"]) if experiment.validation else 0
    see.say(
        f"{len(experiment.train['y']):,} training samples, {held:,} validation, "
        f"{len(experiment.test['y']):,} test; {experiment.total_steps:,} steps of "
        f"{experiment.batch_size}, {experiment.steps_per_epoch:,} an epoch. Nothing was trained."
    )


def _residual_bytes(experiment: Experiment, state: Any) -> int:
    """What reverse mode keeps between its passes: the leaves of the step's vjp function."""

    dtype = jnp.dtype(experiment.config.train.dtype)

    def residuals(params, model_state, x):
        def outputs(params):
            return experiment.model.apply(
                {"params": cast_floating(params, dtype), **model_state},
                experiment.normalize(x).astype(dtype),
                train=True,
                rngs={"params": jax.random.key(0), "dropout": jax.random.key(1)},
                mutable=list(model_state),
            )

        return jax.vjp(outputs, params)[1]

    x = experiment.train["x"]
    x = jax.ShapeDtypeStruct((experiment.batch_size, *x.shape[1:]), x.dtype)
    kept = jax.eval_shape(residuals, state.params, state.model_state, x)
    return max(0, size_bytes(kept) - size_bytes(state.params))


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"
