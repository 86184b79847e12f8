"""What a person sees while a run goes: a live bar on a terminal and in a notebook, else lines."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import rich.box
import rich.console
import rich.progress
import rich.table
import rich.text

from jaxopt_lab.core.metrics import SKIPPED, is_held_out, on_batch
from jaxopt_lab.core.readable import in_a_line, printable
from jaxopt_lab.engine import Chunk
from jaxopt_lab.run.records.scores import in_words
from jaxopt_lab.run.records.sweep_records import Setting
from jaxopt_lab.run.terminal.console import Console
from jaxopt_lab.run.terminal.drawn_bar import NARROW_BAR, DrawnBar, Place, in_notebook

# Plain lines a run, where there is no terminal to draw on.
PLAIN_LINES = 20

# The share of the time that the device waits for data from which on it is said.
WAITS = 0.1

# Columns of a bar at its shortest, of the time left, and between all five parts.
_SHORTEST_BAR, _TIME, _GAPS = 8, 5, 4


class Progress:
    """Draws a run. `console` may be given for tests; `show=False` draws nothing."""

    def __init__(self, *, show: bool = True, console: rich.console.Console | None = None):
        self.console: rich.console.Console = console or Console(quiet=not show)
        self._place: Place | None = None  # of a notebook, of which nobody needs the text any more

    def say(self, *lines: str) -> None:
        """Print lines, which hold names."""
        text = "\n".join(map(in_a_line, lines))
        if not text and in_notebook(self.console):  # whose outputs stand apart as it is
            return
        self._print(self._shown(text))

    def _print(self, shown: Any) -> None:
        if self._place:
            self._place.show(shown)
            self._place = None
        else:
            self.console.print(shown)

    def _shown(self, text: str, style: str = "") -> rich.text.Text:
        """The text as it is, no markup, as far as the terminal's encoding has its letters."""
        encoding = self.console.encoding
        there = printable(text).encode(encoding, "replace").decode(encoding)
        return rich.text.Text(there, style=style)

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner beside `text` while the block runs; what a notebook shows next replaces it."""
        if in_notebook(self.console):
            shown = self._shown(text)
            if self._place:
                self._place.show(shown)
            self._place = self._place or Place(shown)
            yield
        elif self.console.is_terminal:
            dots = self.console.encoding.lower().startswith("utf")
            with self.console.status(self._shown(text), spinner="dots" if dots else "line"):
                yield
        else:
            self.say(text)
            yield

    def training(self, start: int, total: int, steps_per_epoch: int) -> "Bar":
        """The bar of a run from step `start` to `total`."""
        return Bar(self.console, start, total, steps_per_epoch)

    def sweeping(self, work: int, monitor: str) -> "SweepBar":
        """The bar of a sweep of so many steps, all runs together."""
        return SweepBar(self.console, work, monitor)

    def closing_table(self, title: str, rows: dict[str, str], *, good: bool = True) -> None:
        """The verdict: a title and a table of names and values."""
        self._print(self._shown(title, "bold green" if good else "bold yellow"))
        table = rich.table.Table(
            show_header=False,
            box=rich.box.ROUNDED if _draws(self.console) else rich.box.ASCII,
        )
        table.add_column(style="dim")
        table.add_column(justify="left", overflow="fold")
        for name, value in rows.items():
            table.add_row(self._shown(name), self._shown(value))
        self._print(table)

    def columns(
        self,
        title: str,
        names: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        footer: Sequence[str] | None = None,
    ) -> None:
        """A table with a header."""
        box = rich.box.SIMPLE_HEAD if _draws(self.console) else rich.box.ASCII
        table = rich.table.Table(
            title=self._shown(title, "bold"),
            title_justify="left",
            box=box,
            show_footer=footer is not None,
        )
        rows = [tuple(row) for row in rows]
        widths = [_longest_word(column) for column in zip(names, *rows, strict=True)]
        fits = sum(widths) + 3 * len(widths) + 1 <= self.console.width
        for i, name in enumerate(names):
            number = footer is not None and i == len(names) - 1
            table.add_column(
                self._shown(name),
                self._shown(footer[i] if footer else ""),
                justify="right" if number else "left",
                overflow="fold",
                min_width=widths[i] if fits else None,  # no word, and no number, in two
            )
        for row in rows:
            table.add_row(*map(self._shown, row))
        self._print(table)


def _longest_word(texts: Iterable[str]) -> int:
    return max(len(word) for text in texts for word in (text.split() or [""]))


def _whole() -> rich.table.Column:
    """A column that is not made narrower where there is no room; the bar is."""
    return rich.table.Column(no_wrap=True)


def _draws(console: rich.console.Console) -> bool:
    """Whether there is more than plain text to draw with."""
    return console.is_terminal or console.is_jupyter


class Figure(NamedTuple):
    """A text beside a bar, and how soon it is left out where there is not room for all."""

    text: str
    rank: int


def in_full(figures: Iterable[Figure]) -> str:
    """All figures in a line."""
    return "  ".join(figure.text for figure in figures)


def fitted(figures: Iterable[Figure], room: int) -> str:
    """The figures that fit into so many columns, in their order; those of high rank go first."""
    kept = list(figures)
    while kept and len(in_full(kept)) > room:
        kept.remove(max(kept, key=lambda figure: figure.rank))
    return in_full(kept)


class _LiveBar(DrawnBar):
    """A bar with figures, as many as there is room for; plain lines where nothing can be drawn."""

    def __init__(self, console: rich.console.Console, lead: str, work: int, done: int = 0):
        """Begin at `done` of `work`; `lead` is the column before the bar, in rich's markup."""
        self.work = work
        self._next_line = 0.0
        super().__init__(
            console,
            rich.progress.TextColumn(lead),
            rich.progress.BarColumn(bar_width=NARROW_BAR if console.is_jupyter else None),
            self.counting(),
            rich.progress.TextColumn("{task.fields[figures]}"),
            rich.progress.TimeRemainingColumn(
                compact=True, elapsed_when_finished=True, table_column=_whole()
            ),
            total=work,
            done=done,
            figures="",
            lead="",
        )

    @staticmethod
    def counting() -> rich.progress.ProgressColumn:
        """The column behind the bar."""
        return rich.progress.MofNCompleteColumn(table_column=_whole())

    def taken(self, lead: str) -> int:
        """Columns of all but the figures, where the bar itself is as short as it may be."""
        count = 2 * len(str(self.work)) + 1
        return len(f"epoch {lead}") + _SHORTEST_BAR + count + _TIME + _GAPS

    def _show(self, done: int, figures: Sequence[Figure], plain: str, lead: str = "") -> None:
        """Draw the bar at `done`; where nothing can be drawn, a plain line now and then."""
        room = self.console.width - self.taken(lead)
        self.draw(completed=done, figures=fitted(figures, room), lead=lead)
        if not self.draws and (done >= self._next_line or done == self.work):
            self._next_line = done + self.work / PLAIN_LINES
            words = f"{plain}  {in_full(figures)}" if figures else plain
            self.console.print(words, highlight=False, markup=False, soft_wrap=True)


class SweepBar(_LiveBar):
    """One bar for all runs of a sweep: steps of all runs, the best so far, time left."""

    def __init__(self, console: rich.console.Console, work: int, monitor: str):
        super().__init__(console, "[bold]sweep", work)
        self.monitor = monitor
        self._done = 0
        self._next_line = work / PLAIN_LINES
        self.draw(figures="compiling ...")

    @staticmethod
    def counting() -> rich.progress.ProgressColumn:
        return rich.progress.TaskProgressColumn(table_column=_whole())

    def taken(self, lead: str) -> int:
        return len(lead) + _SHORTEST_BAR + len("100%") + _TIME + _GAPS

    def update(self, chunk: Chunk, ranked: Sequence[Setting]) -> None:
        """Show a chunk of some of the runs, and the mean over seeds of the best setting so far."""
        steps = chunk.count * len(chunk.steps)
        self._done = min(self._done + steps, self.work)
        # Of now: an average would show a compilation for long.
        rate = steps / max(chunk.seconds + chunk.evaluation_seconds, 1e-9)
        self._draw([*self._best(ranked), Figure(f"{rate:,.0f} steps/s", 1)])

    def end(self, ranked: Sequence[Setting]) -> None:
        """Show the best setting at the steps that its runs kept."""
        if shown := self._best(ranked):
            self._draw(shown)

    def _best(self, ranked: Sequence[Setting]) -> list[Figure]:
        if not ranked or math.isnan(ranked[0].mean):
            return []
        mean = "mean " if len(ranked[0].runs) > 1 else ""
        return [Figure(f"best {mean}{self.monitor} {ranked[0].mean:.4g}", 0)]

    def _draw(self, figures: Sequence[Figure]) -> None:
        self._show(self._done, figures, f"sweep {self._done / self.work:.0%}", "sweep")


def _measured(evaluation: Mapping[str, np.ndarray]) -> str:
    """The first metric of the validation split, or else its loss: "val acc 97.1%"."""
    loss, *metrics = sorted(filter(is_held_out, evaluation), key=lambda n: on_batch(n) != "loss")
    name = metrics[0] if metrics else loss
    short = on_batch(name).replace("accuracy", "acc")
    return f"val {short} {in_words(name, evaluation[name][0], 1)}"


def wait_in_words(waited: float, seconds: float) -> str:
    """ "waits for data 35%": what of the time of steps went by so; "" where it is little."""
    share = waited / max(seconds, 1e-9)
    return f"waits for data {share:.0%}" if share > WAITS else ""


class Bar(_LiveBar):
    """One run's bar: epoch, step, loss, rate, validation metric, steps a second, time left.

    Where the device waits for data it says so.
    """

    def __init__(self, console: rich.console.Console, start: int, total: int, steps_per_epoch: int):
        super().__init__(console, "[bold]epoch {task.fields[lead]}", total, start)
        self.start = start
        self.total = total
        self.steps_per_epoch = steps_per_epoch
        self._seconds = self._waited = 0.0
        self._measured = ""
        self.draw(lead=self._epoch(start))

    def update(self, chunk: Chunk) -> None:
        """Show the run after a chunk."""
        step = int(chunk.steps[0])
        if step == chunk.start:
            return
        row = {name: values[0, step - chunk.start - 1] for name, values in chunk.rows.items()}
        if chunk.evaluation:
            self._measured = _measured(chunk.evaluation)
        self._seconds += chunk.seconds
        self._waited += chunk.data_wait_seconds
        rate = (step - self.start) / max(self._seconds, 1e-9)
        speed = f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2f} steps/s"
        lr = f"lr {row['learning_rate']:.2e}" if "learning_rate" in row else ""
        parts = [
            Figure(f"loss {row['loss']:.4g}", 0),
            Figure(lr, 4),
            Figure(f"{row[SKIPPED]:.0f} left out" if row.get(SKIPPED) else "", 2),
            Figure(self._measured, 1),
            Figure(speed, 3),
            Figure(wait_in_words(self._waited, self._seconds), 2),
        ]
        epoch = self._epoch(step)
        shown = [part for part in parts if part.text]
        self._show(step, shown, f"epoch {epoch}  step {step}/{self.total}", epoch)

    def _epoch(self, step: int) -> str:
        epochs = -(-self.total // self.steps_per_epoch)
        return f"{min(epochs, step // self.steps_per_epoch + 1)}/{epochs}"
