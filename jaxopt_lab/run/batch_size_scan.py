"""`jaxopt-lab sweep --batch-size-scan`: the loss against the batch size, and the noise scale."""

import csv
import io
import os
from collections.abc import Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.build import Experiment, assemble
from jaxopt_lab.config.load import put, read_tables
from jaxopt_lab.config.parse import ConfigError, parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import Sweep, parse_sweep
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.engine.checkpoint import write_atomically
from jaxopt_lab.engine.step import evaluation_loss
from jaxopt_lab.run.progress import Progress
from jaxopt_lab.run.sweep_folder import SweepFolder
from jaxopt_lab.run.sweep_records import SweepResult

AXIS = "data.batch_size"
SMALLEST = 8
# Samples that the noise scale is measured on, and how many of them at a time.
SAMPLES, CHUNK = 8192, 32


def load_scan(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    data_dir: str | os.PathLike[str] | None = None,
) -> Sweep:
    """The sweep over the batch sizes 8, 16, ... up to half of the training split.

    Raises:
      InputError: where the configuration is wrong, or has that axis already.
    """
    tables = read_tables(path, overrides)
    own = tables.setdefault("sweep", {})
    if isinstance(own, dict) and AXIS in own:
        raise ConfigError(str(path), [(f'sweep."{AXIS}"', "is the axis of --batch-size-scan")])
    config = {k: v for k, v in tables.items() if k != "sweep"}
    put(config, AXIS, "full", "--batch-size-scan")
    whole = read(parse_config(config, source=str(path)), data_dir=data_dir).batch_size
    sizes = [2**k for k in range(3, 31) if SMALLEST <= 2**k <= whole // 2]
    return parse_sweep(tables | {"sweep": {AXIS: sizes, **own}}, source=str(path))


def measure_noise(
    plan: Sweep, result: SweepResult, see: Progress, data_dir: str | os.PathLike[str] | None = None
) -> dict[int, tuple[float, float]]:
    """Measure the gradient noise scale at the end of each run, print and draw it by batch size.

    Returns:
      `{batch size: (mean loss by the monitor, mean noise scale)}` over the runs that ended well.
    """
    found: dict[int, list[tuple[float, float]]] = {}
    compiled: dict[str, Any] = {}
    with see.waiting("measuring the gradient noise scale ..."):
        for run, record in zip(plan.runs, result.runs, strict=True):
            if record is None or record.params is None:
                continue
            # One program for all batch sizes of a model.
            key = repr((run.config.model, run.config.loss))
            if key not in compiled:
                experiment = assemble(run.config, read(run.config, data_dir=data_dir))
                compiled[key] = _noise_scale(experiment)
            scale = float(compiled[key](record.params, record.model_state))
            loss = record.metrics[result.monitor]
            found.setdefault(run.config.data.batch_size, []).append((loss, scale))
    means = {size: tuple(np.mean(pairs, 0).tolist()) for size, pairs in sorted(found.items())}
    rows = [
        [f"{size:,}", f"{a:.4g}", f"{b:,.4g}" if np.isfinite(b) else "-"]
        for size, (a, b) in means.items()
    ]
    see.columns("by batch size", ["batch size", result.monitor, "gradient noise scale"], rows)
    if any(row[2] == "-" for row in rows):
        see.say('"-": at the end the gradient is too small beside its noise to tell')
    if result.run_dir:
        _write(SweepFolder(result.run_dir), result.monitor, means)
    return means


def _noise_scale(experiment: Experiment):
    """`(params, model_state) -> tr(Sigma) / |G|^2`, of the loss in evaluation mode.

    With g_i the gradients of n samples and m their mean, unbiased:
    tr(Sigma) = n / (n - 1) (mean |g_i|^2 - |m|^2),    |G|^2 = |m|^2 - tr(Sigma) / n
    NaN where the noise of m hides |G|, as at a minimum.
    """
    config = experiment.config
    loss = partial(FAMILIES["loss"].functions[config.loss.name], **config.loss.arguments)
    n = min(SAMPLES, len(experiment.train["y"])) // CHUNK * CHUNK or 1
    size = min(CHUNK, n)
    data = {k: v[:n].reshape(-1, size, *v.shape[1:]) for k, v in experiment.train.items()}
    dtype = jnp.dtype(config.train.dtype)

    def gradient(params, model_state, image, label):
        def of_one(params):
            losses = evaluation_loss(
                experiment.model,
                loss,
                params,
                model_state,
                label[None],
                normalize=experiment.normalize,
                dtype=dtype,
            )
            return losses(image[None])[0]

        return jax.grad(of_one)(params)

    @jax.jit
    def scale(params, model_state):
        def add(carry, chunk):
            total, squares = carry
            grads = jax.vmap(gradient, (None, None, 0, 0))(
                params, model_state, chunk["x"], chunk["y"]
            )
            total = jax.tree.map(lambda t, g: t + g.sum(0), total, grads)
            return (total, squares + _norm2(grads)), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        (total, squares), _ = jax.lax.scan(add, (zeros, jnp.zeros([])), data)
        mean2 = _norm2(total) / n**2
        trace = (squares / n - mean2) * n / max(n - 1, 1)
        signal = mean2 - trace / n
        return jnp.where(signal > 0, trace / signal, jnp.nan)

    return scale


def _norm2(tree: Any) -> jax.Array:
    return sum((jnp.sum(x * x) for x in jax.tree.leaves(tree)), jnp.zeros([]))


def _write(folder: SweepFolder, monitor: str, means: dict[int, Any]) -> None:
    from jaxopt_lab.plots import batch_size_curve

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["batch_size", monitor, "gradient_noise_scale"])
    writer.writerows([size, *pair] for size, pair in means.items())
    write_atomically(folder.path / "batch_sizes.csv", buffer.getvalue().encode())
    losses, scales = np.array(list(means.values())).reshape(-1, 2).T
    columns = {"batch_size": np.array(list(means)), "score": losses, "noise_scale": scales}
    image = io.BytesIO()
    batch_size_curve(columns | {"score_name": monitor}).savefig(image, format="png")
    write_atomically(folder.plots / "batch_size.png", image.getvalue())
