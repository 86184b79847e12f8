"""A bar for work that is counted, on standard error: standard output is for what was made."""

import contextlib
from collections.abc import Callable, Iterator

import rich.progress

from jaxopt_lab.run.terminal.console import Console
from jaxopt_lab.run.terminal.progress import Progress


def on_stderr() -> Progress:
    """A terminal that leaves standard output alone, and no path in two."""
    return Progress(console=Console(stderr=True, soft_wrap=True))


@contextlib.contextmanager
def counting(terminal: Progress, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that is advanced by so many; nothing where there is no terminal to draw on.

    Args:
      terminal: where.
      total: of the work; None where it is not known.
    """
    console = terminal.console
    known = [rich.progress.BarColumn(), rich.progress.MofNCompleteColumn()]
    unknown = [rich.progress.SpinnerColumn("line"), rich.progress.TextColumn("{task.completed:,}")]
    columns = [*(unknown if total is None else known), rich.progress.TimeElapsedColumn()]
    with rich.progress.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
