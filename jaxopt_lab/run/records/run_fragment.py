"""A trained run, or several as one, as a notebook shows them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxopt_lab.core.notebook import fragment, table
from jaxopt_lab.core.readable import printable
from jaxopt_lab.run.records.plots_in_notebook import plots
from jaxopt_lab.run.records.scores import headline, in_words, label, numbers_of
from jaxopt_lab.run.records.story import (
    curves_of,
    figures_of,
    how_it_went,
    title_of,
    verdict_of,
)

if TYPE_CHECKING:
    from jaxopt_lab.run.records.run import Run
    from jaxopt_lab.run.records.run_ensemble import RunEnsemble

_MOST_POINTS = 2000  # of a curve


def run_words(run: "Run", kind: str) -> str:
    """A run in a few lines."""
    result = headline(run.summary.get("test", {}))
    lines = [
        f"<{kind} of {title_of(run.config)}",
        *([f"  {result}"] if result else []),
        f"  {run.why}",
        *([f"  in {run.path}"] if run.path else []),
    ]
    return printable("\n".join(lines)) + ">"


def run_fragment(run: "Run", kind: str) -> str:
    """Its verdict, its scores and its curves, as HTML."""
    summary = run.summary
    judged = "fit" in summary  # a run of a sweep, or one that has not ended, is not
    verdict = verdict_of(summary) if judged else headline(summary.get("test", {}))
    rows = [(name, value) for value, name in figures_of(summary)] if judged else _scores(run)
    return fragment(
        f"{kind} of {title_of(run.config)}",
        verdict[:1].upper() + verdict[1:],
        [table((), rows), plots(lambda: _curves(run))],
        soft=[
            how_it_went(summary) if judged else f"{run.why[:1].upper()}{run.why[1:]}.",
            str(run.path or ""),
        ],
    )


def ensemble_words(ensemble: "RunEnsemble") -> str:
    """An ensemble in a line."""
    return printable(f"<RunEnsemble of {ensemble.why}: {title_of(ensemble.config)}>")


def ensemble_fragment(ensemble: "RunEnsemble") -> str:
    """Of what it is, as HTML."""
    signature = ensemble.signature
    x = " x ".join(map(str, signature.x_shape)) or "scalar"
    rows = [
        ("members", f"{ensemble.size:,}"),
        ("parameters, all together", f"{_count(ensemble.params):,}"),
        ("a sample", f"{x} {signature.x_dtype}"),
        *([("classes", f"{len(signature.classes):,}")] if signature.classes else []),
    ]
    title = f"Ensemble of {title_of(ensemble.config)}"
    return fragment(title, f"{ensemble.why[:1].upper()}{ensemble.why[1:]}.", [table((), rows)])


def _scores(run: "Run") -> list[tuple[str, str]]:
    test = numbers_of(run.summary.get("test", {}))
    rows = [(f"test {label(name)}", in_words(name, value)) for name, value in test.items()]
    return [*rows, ("parameters", f"{_count(run.params):,}")]


def _count(params: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(params))


def _curves(run: "Run") -> dict[str, Any]:
    history = _thinned(run.history)
    return curves_of(run.experiment, history) if history else {}


def _thinned(history: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v[:: max(1, len(v) // _MOST_POINTS)] for k, v in history.items()}
