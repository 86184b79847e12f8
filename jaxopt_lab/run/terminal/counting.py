"""A bar for work that is counted."""

import contextlib
from collections.abc import Callable, Iterator

import rich.progress

from jaxopt_lab.run.terminal.console import Console
from jaxopt_lab.run.terminal.drawn_bar import NARROW_BAR, DrawnBar
from jaxopt_lab.run.terminal.progress import Progress


def on_stderr() -> Progress:
    """A terminal that leaves standard output alone, and no path in two."""
    return Progress(console=Console(stderr=True, soft_wrap=True))


@contextlib.contextmanager
def counting(
    terminal: Progress, total: int | None, text: str = ""
) -> Iterator[Callable[[int], None]]:
    """A bar that is advanced by so many; it goes at the end, but of a notebook.

    Args:
      terminal: where; nothing is drawn where it is neither a terminal nor a notebook.
      total: of the work; None where it is not known.
      text: before the bar, or alone where none is drawn.
    """
    wide = NARROW_BAR if terminal.console.is_jupyter else 40
    known = [rich.progress.BarColumn(bar_width=wide), rich.progress.MofNCompleteColumn()]
    unknown = [rich.progress.SpinnerColumn("line"), rich.progress.TextColumn("{task.completed:,}")]
    lead = [rich.progress.TextColumn(text, markup=False)] if text else []
    columns = [*lead, *(unknown if total is None else known), rich.progress.TimeElapsedColumn()]
    with DrawnBar(terminal.console, *columns, total=total, transient=True) as bar:
        if text and not bar.draws:
            terminal.say(text)
        yield lambda count: bar.draw(advance=count)
