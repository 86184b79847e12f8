"""The verdicts on a run, and the page that shows them."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.diagnostics import (
    ActivationHealth,
    Calibration,
    FitVerdict,
    GradientFlow,
    Verdict,
)
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.page import Section, drawn_into, fill_page


class Layers(NamedTuple):
    """What the layers of a network do at one point of its training.

    Attributes:
      flow, gradients: norms by layer, and the verdict on them.
      health, activations: of the activations, and the verdict; None where no layer can be seen in
        the model, as inside a loop.
    """

    flow: GradientFlow
    gradients: Verdict
    health: ActivationHealth | None
    activations: Verdict | None


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The verdicts on a run; `diagnose` makes it.

    Attributes:
      path: of its folder.
      why: which parameters it is of, in words.
      fit: whether it underfits, fits, overfits, diverged, or improves on.
      layers: `{"first step": ..., "end": ...}`; no "end" of a run that kept no parameters.
      calibration: of the probabilities on held-out samples; None where it has no probabilities.
      history: NumPy columns, as of `Result`.
      config: what the run was trained by.
      member: of a sweep, which of its runs.
    """

    path: pathlib.Path
    why: str
    fit: FitVerdict
    layers: Mapping[str, Layers]
    calibration: Calibration | None
    history: Mapping[str, np.ndarray] = dataclasses.field(repr=False)
    config: Config = dataclasses.field(repr=False)
    member: int | None = None

    @property
    def rows(self) -> dict[str, str]:
        """What was judged, and the verdict with where it is worst."""
        found = {"fit": self.fit.brief}
        for (what, when), verdict in self.verdicts():
            found[f"{what}, {when}"] = verdict.kind + (
                f", worst in {verdict.layer}" if verdict.layer else ""
            )
        if self.calibration is not None:
            ece, temperature = float(self.calibration.ece), float(self.calibration.temperature)
            words = "too sure" if temperature > 1 else "not sure enough"
            found["probabilities"] = f"{ece:.1%} off (ECE), {words} (T = {temperature:.2g})"
        return found

    @property
    def remedies(self) -> tuple[str, ...]:
        """What the course would try, without repetitions."""
        found = [*self.fit.remedies]
        for _, verdict in self.verdicts():
            found += verdict.remedies
        return tuple(dict.fromkeys(found))

    def verdicts(self) -> Iterator[tuple[tuple[str, str], Verdict]]:
        """Of what and when, `("gradients", "end")` for one, and the verdict."""
        for when, layers in self.layers.items():
            yield ("gradients", when), layers.gradients
            if layers.activations is not None:
                yield ("activations", when), layers.activations

    def as_json(self) -> dict[str, Any]:
        """Strings, numbers, lists and None, as `--json` prints them; no history."""
        found = {
            "run": str(self.path),
            "why": self.why,
            "fit": self.fit._asdict(),
            "layers": {when: _by_name(layers) for when, layers in self.layers.items()},
            "calibration": self.calibration and self.calibration._asdict(),
        }
        return finite(found)


def _by_name(layers: Layers) -> dict[str, Any]:
    return {
        "gradients": layers.gradients._asdict() | {"by_layer": vars(layers.flow)},
        "activations": layers.activations
        and layers.activations._asdict() | {"by_layer": vars(layers.health)},
    }


def write_diagnosis(diagnosis: Diagnosis) -> pathlib.Path:
    """Write `diagnosis.html` and its plots into the run's folder; of a sweep, with the number."""
    from jaxopt_lab.plots import (  # here: matplotlib takes long to import
        activation_fractions,
        layer_norms,
        loss_curve,
        reliability_diagram,
    )

    figures = {"diagnosis_loss": loss_curve(diagnosis.history)}
    for when, layers in diagnosis.layers.items():
        name, title = when.replace(" ", "_"), {"title": f"the {when}"}
        figures[f"layer_norms_{name}"] = layer_norms(vars(layers.flow) | title)
        if layers.health is not None:
            drawn = activation_fractions(vars(layers.health) | title)
            figures[f"activations_{name}"] = drawn
    if diagnosis.calibration is not None:
        figures["reliability"] = reliability_diagram(diagnosis.calibration._asdict())
    which = "" if diagnosis.member is None else f"-{diagnosis.member}"
    plots = diagnosis.path / "plots"
    plots.mkdir(exist_ok=True)
    page = fill_page(
        title=f"diagnosis of {diagnosis.path.name}{which}",
        verdict=f"{diagnosis.fit.sentence} Judged at {diagnosis.why}.",
        figures=[
            (diagnosis.fit.kind, "fit"),
            *((found.kind, ", ".join(place)) for place, found in diagnosis.verdicts()),
        ],
        sections=[
            Section("Verdicts", rows=list(diagnosis.rows.items()), left=2),
            Section("What the course would try", items=diagnosis.remedies),
            Section(
                "Curves and layers",
                plots=drawn_into(plots, {name + which: drawn for name, drawn in figures.items()}),
            ),
            Section("Configuration", code=to_toml(diagnosis.config)),
        ],
    )
    path = diagnosis.path / f"diagnosis{which}.html"
    write_atomically(path, page)
    return path
