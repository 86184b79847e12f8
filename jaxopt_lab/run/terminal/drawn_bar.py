"""One line that is drawn anew as work goes on: on a terminal, and in a notebook.

A notebook has one output for it, which is replaced, so that nothing flickers and one line stays.
It needs no widgets, which Colab and others do not have.
"""

import time
from typing import Any, Self

import rich.console
import rich.progress

# Columns of the bar itself in a notebook, which does not tell its width.
NARROW_BAR = 16

# Seconds between two drawings in a notebook, each of which is a message to its page.
_PAUSE = 0.1


class Place:
    """An output of a notebook that may be replaced."""

    def __init__(self, shown: Any):
        """Make it, at the end of what the cell has put out so far."""
        from IPython.display import display  # there, where there is a notebook

        self._handle = display(shown, display_id=True)

    def show(self, shown: Any) -> None:
        """Show something else there."""
        if self._handle is not None:
            self._handle.update(shown)


def in_notebook(console: rich.console.Console) -> bool:
    """Whether what is drawn goes to a notebook."""
    return console.is_jupyter and not console.quiet


class DrawnBar:
    """The line; a context manager. Where there is nothing to draw on, it draws nothing."""

    def __init__(
        self,
        console: rich.console.Console,
        *columns: rich.progress.ProgressColumn,
        total: int | None,
        done: int = 0,
        transient: bool = False,
        **fields: str,
    ):
        """Begin at `done`.

        Args:
          console: where.
          columns: of rich; a `BarColumn` takes the place that is left.
          total: of the work; None where it is not known.
          done: of it.
          transient: whether a terminal's line goes at the end.
          fields: texts for the columns.
        """
        self.console = console
        self._place: Place | None = None
        self._next = 0.0
        self._bar = rich.progress.Progress(
            *columns,
            console=console,
            expand=not console.is_jupyter and not transient,
            transient=transient,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done, **fields)

    @property
    def draws(self) -> bool:
        """Whether there is anything to draw on."""
        return self.console.is_terminal or in_notebook(self.console)

    def __enter__(self) -> Self:
        self._bar.start()
        if in_notebook(self.console):
            self._place = Place(self._bar)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()
        if self._place:
            self._place.show(self._bar)

    def draw(self, **what: Any) -> None:
        """Show other fields, or `completed` work, or so much to `advance` by."""
        self._bar.update(self._task, **what)
        if self._place and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self._place.show(self._bar)
