"""What is said after a sweep."""

from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.core.readable import as_typed
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_result import SweepResult
from jaxopt_lab.run.records.sweep_view import ranking
from jaxopt_lab.run.terminal.progress import Progress

MOST_ROWS = 20


def closing_table(terminal: Progress, plan: Sweep, result: SweepResult) -> None:
    """Print the settings, the best first, each the mean over its seeds."""
    names, rows = ranking(plan.axes, result)
    ended = sum(r is not None for r in result.runs)
    count = f"{ended:,} of {len(result.runs):,} runs in {result.seconds:.1f} s"
    title = {"finished": f"finished: {count}", "interrupted": f"interrupted: {count} have ended"}
    if result.stopped_by == "interrupted" and result.run_dir:
        title["interrupted"] += f"; go on with --resume {as_typed(result.run_dir)}"
    terminal.say("")
    terminal.columns(title[result.stopped_by], names, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        terminal.say(f"  and {len(rows) - MOST_ROWS} more, in sweep.csv")
    if result.run_dir:
        folder = SweepFolder(result.run_dir)
        if folder.best.exists():
            terminal.say(f"the best as a configuration of its own: {folder.best}")
        terminal.say(f"report: {folder.report}")
