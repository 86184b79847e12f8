"""`report.html`: one self-contained file that shows a run."""

import base64
import html
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.core.metrics import is_of_layers, on_batch
from jaxopt_lab.engine import Experiment, Finish
from jaxopt_lab.run.records.folder import RunFolder, write_json
from jaxopt_lab.run.records.pictures import write_figure
from jaxopt_lab.run.records.scores import in_words, label, numbers_of

MOST_NUMBERS = 4
"""Outputs of a regression that are drawn against what is true."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2430; background: #fff;
        max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin: 0; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
.verdict {{ color: #555; margin: .2rem 0 1.5rem; }}
.figures {{ display: grid; gap: 1rem;
            grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); }}
.figure {{ border: 1px solid #e3e6ec; border-radius: .5rem; padding: .7rem 1rem; }}
.figure b {{ display: block; font-size: 1.4rem; }}
.figure span {{ color: #667; font-size: .85rem; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }}
img {{ width: 100%; }}
table {{ border-collapse: collapse; font-size: .9rem; width: 100%; }}
td, th {{ text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #e3e6ec; }}
pre {{ background: #f6f7f9; border-radius: .5rem; padding: 1rem; overflow-x: auto;
       font-size: .85rem; line-height: 1.4; }}
</style></head><body>
<h1>{title}</h1><p class="verdict">{verdict}</p>
<div class="figures">{figures}</div>
<h2>Curves</h2><div class="plots">{plots}</div>
{table}<h2>Configuration</h2><pre>{config}</pre>
</body></html>
"""


def write_report(
    folder: RunFolder,
    config: Config,
    history: dict[str, np.ndarray],
    summary: dict[str, Any],
    experiment: Experiment,
    ended: Finish | None,
) -> None:
    """Write `summary.json`, `plots/*.png`, and `report.html` with the plots inside."""
    write_json(folder.summary, summary)
    # Here: matplotlib takes long to import, and not all need it.
    from jaxopt_lab.plots import (
        accuracy_curve,
        curvature_curve,
        learning_rate_curve,
        loss_curve,
        metric_curve,
        update_ratio_curve,
    )

    metrics = [*experiment.objective.measures, *experiment.whole]
    figures = {"loss_curve": loss_curve(history)}
    for name in metrics:
        if name in history or f"val_{name}" in history:
            drawn = accuracy_curve(history) if name == "accuracy" else metric_curve(history, name)
            figures[f"{name}_curve"] = drawn
    figures["learning_rate_curve"] = learning_rate_curve(history)
    if "top_eigenvalue" in history:
        figures["curvature_curve"] = curvature_curve(history)
    if any(map(is_of_layers, history)):
        figures["update_ratio_curve"] = update_ratio_curve(history)
    figures |= _of_test(experiment, ended, summary)
    page = fill_page(
        title=f"{config.data.source.name} / {config.model.name} / {config.optimizer.name}",
        verdict=_verdict(summary),
        figures=_figures(summary),
        plots=[drawn_into(folder.plots, name, figure) for name, figure in figures.items()],
        config=to_toml(config),
    )
    write_atomically(folder.report, page.encode())


def _of_test(
    experiment: Experiment, ended: Finish | None, summary: dict[str, Any]
) -> dict[str, Any]:
    """Pictures of the test split: numbers against what was predicted, and the classes confused."""
    from jaxopt_lab.plots import confusion_matrix, predicted_against_true

    found: dict[str, Any] = {}
    if matrix := summary["test"].get("confusion"):
        given = {"matrix": matrix, "classes": experiment.classes}
        found["confusion_matrix"] = confusion_matrix(given)
    true = experiment.test.get("y")
    if ended is None or experiment.classes or true is None:
        return found
    if true.ndim == 1 or true.shape[1] <= MOST_NUMBERS:
        samples = {"predicted": experiment.predict(ended.params, ended.model_state), "true": true}
        found["predicted_against_true"] = predicted_against_true(samples)
    return found


def drawn_into(plots: pathlib.Path, name: str, figure: Any) -> str:
    """Save a figure as `plots/name.png`; the image as HTML, the picture within."""
    data = base64.b64encode(write_figure(plots / f"{name}.png", figure)).decode()
    return f'<img alt="{name.replace("_", " ")}" src="data:image/png;base64,{data}">'


def fill_page(
    *,
    title: str,
    verdict: str,
    figures: Sequence[tuple[str, str]],
    plots: Sequence[str],
    config: str,
    table: str = "",
) -> str:
    """The report's page: a title, figures as (value, name), images and a table as HTML."""
    return _PAGE.format(
        title=html.escape(title),
        verdict=html.escape(verdict),
        figures="".join(_figure(*figure) for figure in figures),
        plots="".join(plots),
        table=table,
        config=html.escape(config),
    )


def _verdict(summary: dict[str, Any]) -> str:
    how = summary["stopped_by"].replace("early_stopping", "stopped early")
    return (
        f"{how.capitalize()} after {summary['steps']:,} steps "
        f"({summary['epochs']:g} epochs) on {summary['device']}. "
        f"{summary['fit']['kind'].capitalize()}: {summary['fit']['sentence']}"
    )


def _figures(summary: dict[str, Any]) -> list[tuple[str, str]]:
    scores = numbers_of(summary["test"])
    figures = [(in_words(name, v), f"test {label(name)}") for name, v in scores.items()]
    if best := summary.get("best"):
        name = best["metric"]
        figures.append((in_words(name, best["value"]), f"best validation {label(on_batch(name))}"))
    figures.append((f"{summary['parameters']:,}", "parameters"))
    if summary["steps_per_second"]:
        figures.append((f"{summary['steps_per_second']:,.4g}", "steps a second, without compile"))
    figures.append((f"{summary['compile_seconds']:.1f} s", "compile"))
    figures.append((f"{summary['run_seconds']:.1f} s", "whole run"))
    return figures


def _figure(value: str, name: str) -> str:
    return f'<div class="figure"><b>{html.escape(value)}</b><span>{name}</span></div>'
