"""What a run has to tell, from its summary and its history: for its report, and for a notebook."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.metrics import is_of_layers, on_batch
from jaxopt_lab.engine import Experiment
from jaxopt_lab.run.records.scores import headline, in_words, label, numbers_of


def title_of(config: Config) -> str:
    """Its data, model and optimizer by name."""
    return f"{config.data.source.name} / {config.model.name} / {config.optimizer.name}"


def verdict_of(summary: dict[str, Any]) -> str:
    """How good the run is, and how it fits."""
    fit, result = summary["fit"], headline(summary["test"])
    sentence = f"{fit['kind'].capitalize()}: {fit['sentence']}"
    return f"{result[:1].upper()}{result[1:]}. {sentence}" if result else sentence


def how_it_went(summary: Mapping[str, Any]) -> str:
    """How it stopped, after how long, and what it kept."""
    how = summary["stopped_by"].replace("early_stopping", "stopped early").capitalize()
    words = f"{how} after {summary['steps']:,} steps ({summary['epochs']:g} epochs)"
    if "kept" in summary:
        words += f"; the parameters are the {summary['kept']}, of step {summary['kept_step']:,}"
    return f"{words}."


def figures_of(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers to remember, (value, name)."""
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


def curves_of(experiment: Experiment, history: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Figures of what was measured on the way, by name."""
    # Here: matplotlib takes long to import, and not all need it.
    from jaxopt_lab.plots import (
        accuracy_curve,
        curvature_curve,
        learning_rate_curve,
        loss_curve,
        metric_curve,
        update_ratio_curve,
    )

    figures = {"loss_curve": loss_curve(history)}
    for name in (*experiment.objective.measures, *experiment.whole):
        if name in history or f"val_{name}" in history:
            drawn = accuracy_curve(history) if name == "accuracy" else metric_curve(history, name)
            figures[f"{name}_curve"] = drawn
    figures["learning_rate_curve"] = learning_rate_curve(history)
    if "top_eigenvalue" in history:
        figures["curvature_curve"] = curvature_curve(history)
    if any(map(is_of_layers, history)):
        figures["update_ratio_curve"] = update_ratio_curve(history)
    return figures
