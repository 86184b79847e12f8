"""`jaxopt-lab landscape`: the loss around a run's parameters, or between those of several runs."""

import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Positive
from jaxopt_lab.core.readable import as_typed
from jaxopt_lab.core.types import Batch, Model, Params
from jaxopt_lab.data import as_dataset
from jaxopt_lab.diagnostics import (
    Surface,
    filter_normalized,
    linear_mode_connectivity,
    loss_surface,
    mean_loss,
)
from jaxopt_lab.engine import make_reestimate
from jaxopt_lab.run.records.folder import SWEEP
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.pictures import write_figure
from jaxopt_lab.run.records.subject import Subject, find_subject
from jaxopt_lab.run.terminal.progress import Progress

MOST_POINTS = 501


class Landscape(NamedTuple):
    """The loss around or between trained runs; `measure_landscape` makes it.

    Attributes:
      paths: of the runs' folders.
      samples: of training, that the loss is the mean over.
      surface: of one run, around its parameters.
      lines: of several, `{"a to b": (points,)}`, from the first to each other one: at its ends the
        losses of the runs themselves; between them batch statistics are re-estimated.
      barriers: how high each line rises above the straight one between its ends.
    """

    paths: tuple[pathlib.Path, ...]
    samples: int
    surface: Surface | None
    lines: Mapping[str, np.ndarray]
    barriers: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Strings, numbers and lists, as `--json` prints them."""
        found: dict[str, Any] = {"runs": [*map(str, self.paths)], "samples": self.samples}
        if self.surface is not None:
            found["surface"] = self.surface._asdict()
        else:
            found |= {"barriers": self.barriers, "lines": self.lines}
        return finite(found)

    def as_drawing(self) -> dict[str, Any]:
        """What `plots.loss_surface` draws."""
        if self.surface is not None:
            drawn = {name: np.asarray(v) for name, v in self.surface._asdict().items()}
            return drawn | {"title": f"{self.paths[0].name}: loss, filter-normalized directions"}
        points = len(next(iter(self.lines.values())))
        shares = np.linspace(0, 1, points)
        return {"x": shares, "values": self.lines, "xlabel": "share of the way"}


def measure_landscape(
    runs: Sequence[str | os.PathLike[str]],
    *,
    samples: Count = 1000,
    points: Count = 25,
    extent: Positive = 1.0,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
) -> Landscape:
    """The loss on training samples, in evaluation mode, around one run or between several.

    Args:
      runs: folders; of several the networks must be alike.
      samples: at most how many, evenly spaced, the same at every call.
      points: along each direction, or each line, 3 to 501.
      extent: of one run, how far, in lengths of its filters.
      seed: of the two random directions.
      data_dir, data, model: as of `diagnose`.

    Raises:
      InputError: where a folder holds no run that kept parameters, or their networks differ.
    """
    if samples < 1 or not 3 <= points <= MOST_POINTS:
        wanted = f"--samples >= 1 and --points in [3, {MOST_POINTS}]"
        raise InputError(f"landscape: needs {wanted}, got {samples} and {points}")
    if not 0 < extent < math.inf:
        raise InputError(f"landscape: --extent must be > 0 and finite, got {extent}")
    for run in runs:
        if (pathlib.Path(run) / SWEEP).exists():
            best = as_typed(pathlib.Path(run) / "best.toml")
            raise InputError(
                f"landscape: {run} is a sweep: train one of its runs by itself, the best by "
                f"`jaxopt-lab train {best}`, and give that folder"
            )
    data = None if data is None else as_dataset(data)  # a source is read once
    subjects = [find_subject(run, data_dir=data_dir, data=data, model=model) for run in runs]
    params = [subject.require_params("landscape") for subject in subjects]
    first, paths = subjects[0], tuple(subject.path for subject in subjects)
    batches = first.batches(samples)
    count = sum(len(batch["y"]) for batch in batches)
    shapes = [jax.tree.map(jnp.shape, each) for each in params]
    for path, own in zip(paths, shapes, strict=True):
        if own != shapes[0]:
            text = f"{path} holds another network than {paths[0]}"
            raise InputError(f"landscape: {text}: there is no line between them")
    losses = [mean_loss(subject.loss_fn, batches) for subject in subjects]
    if len(subjects) == 1:
        keys = jax.random.split(jax.random.key(seed))
        directions = tuple(filter_normalized(key, params[0]) for key in keys)
        around = jax.jit(lambda p, d: loss_surface(losses[0], p, d, steps=points, extent=extent))
        return Landscape(paths, count, around(params[0], directions), {}, {})
    inside = _with_statistics(first, batches)
    lines, barriers = {}, {}
    for path, own, loss in zip(paths[1:], params[1:], losses[1:], strict=True):

        def at(place, loss=loss):
            """The loss at (parameters, share of the way): at both ends that of the run itself."""
            params, share = place
            which = jnp.where(share == 0, 0, jnp.where(share == 1, 2, 1))
            return jax.lax.switch(which, (losses[0], inside, loss), params)

        between = jax.jit(functools.partial(linear_mode_connectivity, at, points=points))
        found = between((params[0], jnp.zeros([])), (own, jnp.ones([])))
        name = f"{paths[0].name} to {path.name}"
        lines[name], barriers[name] = np.asarray(found.path.values), float(found.barrier)
    return Landscape(paths, count, None, lines, barriers)


def show(landscape: Landscape, terminal: Progress) -> None:
    """Print how high the barriers are."""
    for name, height in landscape.barriers.items():
        terminal.say(f"{name}: a barrier of {height:.4g}")


def draw(landscape: Landscape, path: pathlib.Path) -> pathlib.Path:
    """Write the picture, a PNG file."""
    from jaxopt_lab.plots import loss_surface as surface  # here: matplotlib takes long to import

    write_figure(path, surface(landscape.as_drawing()))
    return path


def _with_statistics(subject: Subject, batches: Sequence[Batch]) -> Callable[[Params], jax.Array]:
    """The loss of parameters that were never trained, so with batch statistics of their own."""
    size = subject.experiment.batch_size
    x = jnp.concatenate([batch["x"] for batch in batches])
    whole = max(1, len(x) // size)
    inputs = x[: whole * size].reshape(whole, -1, *x.shape[1:])
    forward, key = subject.experiment.forward, jax.random.key(0)
    reestimate = make_reestimate(forward, subject.params, subject.model_state, inputs[0], key)

    def loss(params):
        own = dataclasses.replace(subject, model_state=reestimate(params, inputs))
        return mean_loss(own.loss_fn, batches)(params)

    return loss
