"""`--dry-run`: shapes, sizes and memory of a run, by abstract evaluation; nothing is trained."""

import jax

from jaxopt_lab.config.layout import layout_on
from jaxopt_lab.config.parameter_groups import find_groups
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice, MeshConfig
from jaxopt_lab.config.start import load_start, started
from jaxopt_lab.config.tables import FAMILIES, declared_by
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import flatten_with_names, size_bytes
from jaxopt_lab.engine import Experiment, Forward, Layout, TrainState
from jaxopt_lab.engine.devices import DATA, MODEL
from jaxopt_lab.engine.layout import require_even
from jaxopt_lab.engine.needs import in_bytes, needs_of, require_fit
from jaxopt_lab.engine.scale import CHIPS, Cost, cost_on, step_seconds
from jaxopt_lab.run.terminal.progress import Progress


def dry_run(
    config: Config, experiment: Experiment, terminal: Progress, mesh: MeshConfig | None = None
) -> None:
    """Print the model summary, the parameter count and an account of memory.

    Args:
      config: of the run.
      experiment: built from it.
      terminal: where to print.
      mesh: of devices that need not be here, whose cost is printed too; None for one device.

    Raises:
      InputError: where the run does not fit its data or the mesh.
    """
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    batch = experiment.drawn.shapes(experiment.train)
    needs = needs_of(experiment.step, state, batch)  # says what the step refuses, as a run would
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
    if groups := find_groups(config, forward, x.shape[1:]):
        terminal.columns("groups", ("parameter", "group", "rate times"), groups.rows())
    if config.start is not None:
        begun = started(experiment, load_start(config.start))
        terminal.say(begun.lines()[0])
        terminal.columns("[start]", ("array", "shape", "what comes of it"), begun.rows())
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
        [(name, in_bytes(value)) for name, value in memory.items()],
        footer=("total", in_bytes(total)),
    )
    if mesh is None:  # one that is given may be of another machine
        try:
            require_fit(needs, state, jax.devices()[0])
        except InputError as error:
            terminal.say(f"not on this machine: {error}")
    else:
        layout, kept = _counted(mesh), memory["kept for the backward pass"]
        require_even(experiment.batch_size, layout.sizes[DATA])
        factors = _shared_bytes(config.optimizer, state)
        cost = cost_on(layout, experiment.step, state, batch, kept=kept, factors=factors)
        _show_cost(cost, layout, config.train.dtype, terminal)
    held = len(experiment.validation["y"]) if experiment.validation else 0
    terminal.say(
        f"{len(experiment.train['y']):,} training samples, {held:,} validation, "
        f"{len(experiment.test['y']):,} test; {experiment.total_steps:,} steps of "
        f"{experiment.batch_size}, {experiment.steps_per_epoch:,} an epoch. Nothing was trained."
    )


def _shared_bytes(optimizer: Choice, state: TrainState) -> float:
    """What an optimizer's devices sum in a step beside the gradients."""
    shares = declared_by("optimizer", optimizer).shares
    if shares is None:
        return 0.0
    known = FAMILIES["optimizer"].arguments(optimizer.name)
    defaults = {key: argument.default for key, argument in known.items()}
    return shares(state.opt_state, defaults | dict(optimizer.arguments))


def _show_cost(cost: Cost, layout: Layout, dtype: str, terminal: Progress) -> None:
    """What a device of the mesh holds, does and moves, and the least time of a step."""
    terminal.columns(
        f"a device of {layout.devices}, data = {layout.sizes[DATA]}, model = {layout.sizes[MODEL]}",
        ("what, in a step", "size"),
        [
            ("holds of the state", in_bytes(cost.state)),
            ("sums with the others", in_bytes(cost.summed)),
            ("gathers from the others", in_bytes(cost.gathered)),
            ("needs in all", in_bytes(cost.memory)),
            ("operations", f"{cost.operations:.3g}"),
        ],
    )
    rows = []
    for chip in CHIPS.values():
        time = step_seconds(cost, chip, layout.devices, dtype)
        fits = "yes" if cost.memory <= chip.memory else "no"
        numbers = (_time(time[bound]) for bound in ("compute", "memory", "links", "step"))
        rows.append((chip.name, f"{fits}, of {chip.memory / 1e9:.0f} GB", *numbers))
    terminal.columns(
        "the least time of a step, by data sheets",
        ("chip", "fits", "compute", "memory", "links", "step"),
        rows,
    )


def _counted(mesh: MeshConfig) -> Layout:
    """The layout of a mesh that says its size."""
    if mesh.devices is None:
        raise InputError(
            "--dry-run: the mesh says no number of devices: give one, --mesh data=256,shard=full"
        )
    return layout_on(mesh, {DATA: mesh.devices // mesh.model, MODEL: mesh.model})


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def _residual_bytes(forward: Forward, state: TrainState, x: jax.ShapeDtypeStruct) -> int:
    """What reverse mode keeps between its passes: the leaves of the step's vjp function."""

    def residuals(params, model_state, x):
        outputs = lambda params: forward.train(params, model_state, x, jax.random.key(0))  # noqa: E731
        return jax.vjp(outputs, params, has_aux=True)[1]

    kept = jax.eval_shape(residuals, state.params, state.model_state, x)
    return max(0, size_bytes(kept) - size_bytes(state.params))
