"""`jaxopt-lab spectrum`: the curvature of a run's loss at the parameters that it kept."""

import os
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count
from jaxopt_lab.core.types import Model
from jaxopt_lab.diagnostics import (
    Spectrum,
    TopEigenvalues,
    Trace,
    hessian_spectrum,
    mean_hessian,
    mean_loss,
    sam_sharpness,
    top_eigenvalues,
    trace,
)
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.pictures import write_figure
from jaxopt_lab.run.records.subject import find_subject
from jaxopt_lab.run.terminal.progress import Progress

MOST = 100
"""Eigenvalues: each needs a vector as large as the parameters, and some more."""

RHO = 0.05
"""The radius of SAM's sharpness."""


class LossCurvature(NamedTuple):
    """What the Hessian of a run's loss is like; `measure_curvature` makes it.

    Attributes:
      path: of the run's folder.
      why: which parameters it is of, in words.
      samples: of training, that the loss is the mean over.
      loss: that mean, in evaluation mode.
      top: the eigenvalues that are largest in magnitude, and both ends of the spectrum.
      trace: with its standard error.
      sharpness: by how much the loss rises at SAM's radius of 0.05.
      spectrum: the density.
    """

    path: pathlib.Path
    why: str
    samples: int
    loss: jax.Array
    top: TopEigenvalues
    trace: Trace
    sharpness: jax.Array
    spectrum: Spectrum

    def as_json(self) -> dict[str, Any]:
        """Strings, numbers and lists, as `--json` prints them; no eigenvectors."""
        found = {
            "run": str(self.path),
            "why": self.why,
            "samples": self.samples,
            "loss": self.loss,
            "eigenvalues": self.top.values,
            "residuals": self.top.residuals,
            "least_eigenvalue": self.top.least,
            "greatest_eigenvalue": self.top.greatest,
            "trace": self.trace.estimate,
            "trace_error": self.trace.error,
            f"sam_sharpness_{RHO}": self.sharpness,
            "density": {n: getattr(self.spectrum, n) for n in ("grid", "density", "width")},
        }
        return finite(found)


def measure_curvature(
    run: str | os.PathLike[str],
    *,
    samples: Count = 512,
    top: Count = 5,
    member: int | None = None,
    step: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
) -> LossCurvature:
    """The curvature of a run's loss on training samples, in evaluation mode.

    The samples are evenly spaced, and the same at every call, so that two runs can be compared.

    Args:
      run: its folder, or that of a sweep.
      samples: at most how many.
      top: how many eigenvalues, at most 100.
      member, step, data_dir, data, model: as of `diagnose`.

    Raises:
      InputError: where the folder holds no such run, or one that kept no parameters.
    """
    if samples < 1:
        raise InputError(f"spectrum: --samples must be >= 1, got {samples}")
    if not 1 <= top <= MOST:
        raise InputError(f"spectrum: --top must be in [1, {MOST}], got {top}")
    subject = find_subject(run, member=member, step=step, data_dir=data_dir, data=data, model=model)
    params = subject.require_params("spectrum")
    batches = subject.batches(samples, samples)
    keys = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    def measured(params):
        product = mean_hessian(subject.loss_fn, params, batches)
        loss = mean_loss(subject.loss_fn, batches)
        return (
            loss(params),
            top_eigenvalues(product, params, keys[0], top, iterations=50 + top),
            trace(product, params, keys[1], samples=30),
            sam_sharpness(loss, params, rho=RHO),
            hessian_spectrum(product, params, keys[2], probes=4, steps=40),
        )

    count = sum(len(batch["y"]) for batch in batches)
    return LossCurvature(subject.path, subject.why, count, *measured(params))


def show(curvature: LossCurvature, terminal: Progress) -> None:
    """Print the eigenvalues, each with how far it is from one, and what sums them up."""
    terminal.say(f"{curvature.path}: {curvature.why}")
    top = curvature.top
    pairs = zip(np.asarray(top.values), np.asarray(top.residuals), strict=True)
    rows = {f"eigenvalue {i}": f"{v:.5g} ± {r:.1g}" for i, (v, r) in enumerate(pairs, start=1)}
    rows["least eigenvalue"] = f"{float(top.least):.5g}"
    rows["trace"] = f"{float(curvature.trace.estimate):.5g} ± {float(curvature.trace.error):.2g}"
    rows[f"SAM's sharpness at {RHO}"] = f"{curvature.sharpness:.4g}"
    rows["loss"] = f"{curvature.loss:.4g}"
    title = f"Hessian of the loss on {curvature.samples:,} training samples, evaluation mode"
    terminal.closing_table(title, rows)


def write_spectrum(curvature: LossCurvature) -> pathlib.Path:
    """Write `plots/spectrum.png` into the run's folder."""
    from jaxopt_lab.plots import spectral_density  # here: matplotlib takes long to import

    path = curvature.path / "plots" / "spectrum.png"
    path.parent.mkdir(exist_ok=True)
    drawn = {k: np.asarray(v) for k, v in curvature.spectrum._asdict().items()}
    title = f"{curvature.path.name}: Hessian on {curvature.samples:,} training samples"
    drawn |= {"eigenvalues": np.asarray(curvature.top.values), "title": title}
    write_figure(path, spectral_density(drawn))
    return path
