"""`report.html`: one self-contained file that shows a run to somebody who has not seen it."""

import platform
from collections.abc import Mapping
from typing import Any

import flax
import jax
import numpy as np
import optax

import jaxopt_lab
from jaxopt_lab.config.dump import config_hash, to_toml
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.records.answers import (
    MOST_NUMBERS,
    Answers,
    classes_section,
    confusion_of,
    scores_section,
    worst_section,
)
from jaxopt_lab.run.records.json_file import write_json
from jaxopt_lab.run.records.page import Section, drawn_into, fill_page
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.story import curves_of, figures_of, how_it_went, title_of, verdict_of


def write_report(
    folder: RunFolder,
    config: Config,
    history: Mapping[str, np.ndarray],
    summary: dict[str, Any],
    experiment: Experiment,
    signature: Signature,
    answers: Answers | None,
) -> None:
    """Write `summary.json`, `plots/*.png`, and `report.html` with the plots inside.

    Args:
      folder, config, history, summary, experiment, signature: of the run.
      answers: on the test split, of `look_at_test`; None for none.
    """
    write_json(folder.summary, summary)
    sections = [
        Section("Curves", plots=drawn_into(folder.plots, curves_of(experiment, history))),
        scores_section(summary["test"], answers),
    ]
    if answers is not None:
        drawn = drawn_into(folder.plots, _of_test(answers, summary["test"]))
        sections += [
            Section("What was predicted", plots=drawn),
            classes_section(answers),
            worst_section(answers),
        ]
    page = fill_page(
        title=title_of(config),
        verdict=verdict_of(summary),
        how=[how_it_went(summary)],
        figures=figures_of(summary),
        sections=[
            *sections,
            Section("What the course would try", items=summary["fit"]["remedies"]),
            _environment(config, signature, summary),
            Section(
                "Reproduce it",
                code=_command(folder),
                note=f"{folder.config.name} is the configuration below. The same versions on the "
                "same kind of device take the same steps, to the byte.",
            ),
            Section("Configuration", code=to_toml(config)),
        ],
    )
    write_atomically(folder.report, page)


def _of_test(answers: Answers, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures of the test split: numbers against what was predicted, and the classes confused."""
    from jaxopt_lab.plots import confusion_matrix, predicted_against_true

    matrix = scores.get("confusion")
    matrix = confusion_of(answers) if matrix is None else matrix
    if matrix is not None:
        given = {"matrix": matrix, "classes": answers.prediction.classes}
        return {"confusion_matrix": confusion_matrix(given)}
    numbers = answers.prediction.numbers
    if numbers is None or (numbers.ndim > 1 and numbers.shape[1] > MOST_NUMBERS):
        return {}
    samples = {"predicted": numbers, "true": answers.y}
    return {"predicted_against_true": predicted_against_true(samples)}


def _environment(config: Config, signature: Signature, summary: Mapping[str, Any]) -> Section:
    """What the run was made with, on and of."""
    count, kind = jax.device_count(), summary["device"]
    rows = [
        ("device", kind if count == 1 else f"{count} x {kind}"),
        ("system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ("jaxopt_lab", jaxopt_lab.__version__),
        ("jax, flax, optax", f"{jax.__version__}, {flax.__version__}, {optax.__version__}"),
        ("data", f"{signature.samples:,} training samples, {_shape(signature)}"),
        ("seed", str(config.seed)),
        ("configuration", config_hash(config)[:16]),
    ]
    if signature.fingerprint:
        rows.append(("files of the data", signature.fingerprint[:16]))
    return Section("Environment", rows=rows, left=2)


def _shape(signature: Signature) -> str:
    return f"{' x '.join(map(str, signature.x_shape)) or 'scalar'} {signature.x_dtype}"


def _command(folder: RunFolder) -> str:
    """What trains the run again, from the page's folder."""
    given = []
    if folder.own_code.exists():
        given.append("--module FILE")
    if folder.own_signature().origin == "python":
        return "jaxopt_lab.train('config.toml', run_dir='again', data=...)  # the data was given"
    return " ".join(["jaxopt-lab train", folder.config.name, *given, "--run-dir again"])
