"""`--dry-run`: shapes, sizes and memory of a run, by abstract evaluation; nothing is trained."""

import jax

from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.tree import flatten_with_names, size_bytes
from jaxopt_lab.engine import Experiment, Forward, TrainState, batch_shapes
from jaxopt_lab.run.terminal.progress import Progress


def dry_run(config: Config, experiment: Experiment, terminal: Progress) -> None:
    """Print the model summary, the parameter count and an account of memory."""
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    batch = batch_shapes(experiment.train, experiment.batch_size)
    jax.eval_shape(experiment.step, state, batch)  # says what the step refuses, as a run would
    x = batch["x"]
    forward = experiment.forward
    outputs = jax.eval_shape(forward.evaluate, state.params, state.model_state, x)
    count = sum(x.size for x in jax.tree.leaves(state.params))
    terminal.columns(
        f"{config.model.name}: {x.shape} -> {outputs.shape}",
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
        "kept for the backward pass": _residual_bytes(forward, state, x),
        "training data, as it is stored": sum(v.nbytes for v in experiment.train.values()),
    }
    total = sum(memory.values())
    terminal.columns(
        "memory on the device, estimated",
        ("what", "size"),
        [(name, _size(value)) for name, value in memory.items()],
        footer=("total", _size(total)),
    )
    held = len(experiment.validation["y"]) if experiment.validation else 0
    terminal.say(
        f"{len(experiment.train['y']):,} training samples, {held:,} validation, "
        f"{len(experiment.test['y']):,} test; {experiment.total_steps:,} steps of "
        f"{experiment.batch_size}, {experiment.steps_per_epoch:,} an epoch. Nothing was trained."
    )


def _residual_bytes(forward: Forward, state: TrainState, x: jax.ShapeDtypeStruct) -> int:
    """What reverse mode keeps between its passes: the leaves of the step's vjp function."""

    def residuals(params, model_state, x):
        outputs = lambda params: forward.train(params, model_state, x, jax.random.key(0))  # noqa: E731
        return jax.vjp(outputs, params, has_aux=True)[1]

    kept = jax.eval_shape(residuals, state.params, state.model_state, x)
    return max(0, size_bytes(kept) - size_bytes(state.params))


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"
