"""What a sweep writes at its end: `sweep.csv`, `best.toml` and `report.html`."""

from jaxopt_lab.config.dump import tables_to_toml, to_toml
from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.run.records.page import Section, drawn_into, fill_page
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_result import SweepResult
from jaxopt_lab.run.records.sweep_view import (
    best_figures,
    how_compared,
    ranking,
    sweep_figures,
    title_of,
)

MOST_REPORT_ROWS = 200


def write_sweep_report(folder: SweepFolder, plan: Sweep, result: SweepResult) -> None:
    """Write `sweep.csv`, `best.toml`, `plots/*.png` and `report.html`."""
    folder.write_table(plan, result)
    if result.best is not None:
        write_atomically(folder.best, to_toml(plan.runs[result.best].config).encode())
    names, rows = ranking(plan.axes, result)
    rest = f"and {len(rows) - MOST_REPORT_ROWS} more" if len(rows) > MOST_REPORT_ROWS else ""
    records = [r for r in result.runs if r is not None]
    figures = [(f"{len(records):,}", "runs"), (f"{result.seconds:.1f} s", "whole sweep")]
    figures = [*best_figures(result), *figures]
    lost = sum(r.stopped_by == "diverged" for r in records)
    if lost:
        figures.append((str(lost), "diverged"))
    page = fill_page(
        title=title_of(plan.axes),
        verdict=how_compared(result),
        figures=figures,
        sections=[
            Section("Curves", plots=drawn_into(folder.plots, sweep_figures(plan.axes, result))),
            Section("Settings", head=names, rows=rows[:MOST_REPORT_ROWS], note=rest),
            Section("Configuration", code=tables_to_toml(plan.tables)),
        ],
    )
    write_atomically(folder.report, page)
    folder.seal_end()
