"""A sweep's settings as a table and as figures."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_lab.config.tables import better
from jaxopt_lab.core.metrics import is_of_evaluation
from jaxopt_lab.run.records.history import EVAL_STEP, STEP, thinned
from jaxopt_lab.run.records.scores import decimals_beside, in_words, is_share, label, numbers_of
from jaxopt_lab.run.records.sweep_records import RunRecord, Setting, score

if TYPE_CHECKING:
    from jaxopt_lab.run.records.sweep_result import SweepResult  # which shows itself by this


MOST_POINTS = 500  # of a curve that is drawn


def title_of(axes: Sequence[str]) -> str:
    """What the sweep is over."""
    return "sweep over " + (", ".join(axes) or "seeds")


def how_compared(result: "SweepResult") -> str:
    """How it ended, and by what its settings are compared."""
    ended = result.stopped_by.capitalize()
    return f"{ended}; compared by {result.monitor} at the kept step, the mean over seeds."


def best_figures(result: "SweepResult") -> list[tuple[str, str]]:
    """The score of the best setting and its test, (value, name); [] where there is none."""
    if result.best is None:
        return []
    best = result.settings[0]
    runs = [_ended(result, run) for run in best.runs]
    several = len(runs) > 1
    mean, whose = ("mean ", f"runs {_span(best)}") if several else ("", f"run {_span(best)}")
    figures = [(f"{best.mean:.4g}", f"best {mean}{result.monitor}, {whose}")]
    tests = [run.test for run in runs if run.test]
    if tests:
        name = next(iter(numbers_of(tests[0])))
        shown = in_words(name, float(np.mean([test[name] for test in tests])))
        figures.append((shown, f"{'their mean' if several else 'its'} test {name}"))
    return figures


def ranking(axes: Sequence[str], result: "SweepResult") -> tuple[list[str], list[list[str]]]:
    """A table: its header, and a row a setting, the best first; `axes` are what varies."""
    seeded = any(len(setting.runs) > 1 for setting in result.settings)
    scores = next((numbers_of(r.test) for r in result.runs if r and r.test), {"loss": 0.0})
    tested = next(iter(scores))
    percent = is_share(tested)
    names = [
        "runs" if seeded else "run",
        *short_names(axes),
        result.monitor,
        f"test {label(tested).replace('accuracy', 'acc')}{', %' if percent else ''}",
        "ended",
    ]
    rows = []
    for setting in result.settings:
        records = [_ended(result, run) for run in setting.runs]
        ends = dict.fromkeys(r.stopped_by for r in records)
        rows.append(
            [
                _span(setting),
                *(_shown(records[0].values[name]) for name in axes),
                _mean([r.metrics.get(result.monitor, math.nan) for r in records]),
                _mean([r.test.get(tested, math.nan) for r in records], percent=percent),
                ", ".join(word.partition("_")[0] for word in ends),  # "early", not "early_stopping"
            ]
        )
    return names, rows


def _ended(result: "SweepResult", run: int) -> RunRecord:
    record = result.runs[run]
    assert record is not None
    return record


def _span(setting: Setting) -> str:
    """The runs of a setting, "0-3", whose seeds are side by side."""
    first, last = setting.runs[0], setting.runs[-1]
    return str(first) if first == last else f"{first}-{last}"


def sweep_figures(axes: Sequence[str], result: "SweepResult") -> dict[str, Any]:
    """Figures of how the score depends on each axis, and of the runs, by name."""
    from jaxopt_lab.plots import axes_heat_map, axis_curve, parallel_coordinates, run_curves

    there = [(i, r) for i, r in enumerate(result.runs) if r is not None and r.history]
    if not there:
        return {}
    higher = better(result.monitor) == "max"
    base = {"score_name": result.monitor, "higher": higher}
    sign = -1 if higher else 1
    base["score"] = np.array([sign * score(r, result.monitor) for _, r in there])
    places = {run: k for k, setting in enumerate(result.settings) for run in setting.runs}
    settings = np.array([places[i] for i, _ in there])
    columns = {name: _column([r.values[name] for _, r in there]) for name in axes}
    numeric = [name for name, values in columns.items() if values.dtype.kind in "fi"]
    found = {}
    for name in numeric[:4]:
        own = base | {"x": columns[name], "x_name": name, "setting": settings}
        others = [other for other in axes if other != name]
        if len(others) == 1:
            words = np.array([_shown(v) for v in columns[others[0]].tolist()])
            own |= {"line": words, "line_name": others[0]}
        found[f"by_{name.replace('.', '_')}"] = axis_curve(own)
    if len(axes) == 2:
        x, y = sorted(axes, key=lambda name: -len(np.unique(columns[name])))
        own = {"x": columns[x], "y": columns[y], "x_name": x, "y_name": y}
        found["heat_map"] = axes_heat_map(base | own)
    if len(axes) > 1:
        found["parallel_coordinates"] = parallel_coordinates(base | {"columns": columns})
    steps = EVAL_STEP if is_of_evaluation(result.monitor) else STEP
    nothing = np.zeros(0)
    curves = {
        "step": [thinned(r.history.get(steps, nothing), MOST_POINTS) for _, r in there],
        "value": [thinned(r.history.get(result.monitor, nothing), MOST_POINTS) for _, r in there],
    }
    found["run_curves"] = run_curves(base | curves)
    return found


def _column(values: list[Any]) -> np.ndarray:
    numbers = all(type(v) in (int, float) for v in values)
    return np.array(values, float) if numbers else np.array([_shown(v) for v in values])


def _mean(values: list[float], *, percent: bool = False) -> str:
    """The mean, and two digits of the standard deviation; a percentage in hundredths."""
    finite = [v * (100 if percent else 1) for v in values if math.isfinite(v)]
    if not finite:
        return "-"
    mean = float(np.mean(finite))
    if len(finite) == 1:
        return f"{mean:.2f}" if percent else f"{mean:.4g}"
    spread = float(np.std(finite, ddof=1))
    digits = decimals_beside(spread, most=2 if percent else 8)
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def short_names(paths: Sequence[str]) -> list[str]:
    """The last part of each path where it tells them apart."""
    last = [path.rsplit(".", 1)[-1] for path in paths]
    return [
        path if last.count(short) > 1 else short for path, short in zip(paths, last, strict=True)
    ]
