"""What a person sees while a run goes: a live bar on a terminal, plain lines elsewhere."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import rich.box
import rich.console
import rich.progress
import rich.table
import rich.text

# Plain lines a run, where there is no terminal to draw on.
PLAIN_LINES = 20


class Progress:
    """Draws a run. `console` may be given for tests; `show=False` draws nothing."""

    def __init__(self, *, show: bool = True, console: rich.console.Console | None = None):
        self.console = console or rich.console.Console(quiet=not show)
        self._bar: rich.progress.Progress | None = None

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner beside `text` while the block runs."""
        if self.console.is_terminal:
            with self.console.status(text):
                yield
        else:
            self.say(text)
            yield

    @contextlib.contextmanager
    def training(self, *, start: int, total: int, steps_per_epoch: int) -> Iterator["Bar"]:
        """The bar of a run from step `start` to `total`."""
        with Bar(self.console, start, total, steps_per_epoch) as bar:
            yield bar

    @contextlib.contextmanager
    def sweeping(self, work: int, monitor: str) -> Iterator["SweepBar"]:
        """The bar of a sweep of so many steps, all runs together."""
        with SweepBar(self.console, work, monitor) as bar:
            yield bar

    def closing_table(self, title: str, rows: dict[str, str], *, good: bool = True) -> None:
        """The verdict: a title and a table of names and values."""
        self.console.print(rich.text.Text(title, style="bold green" if good else "bold yellow"))
        table = rich.table.Table(
            show_header=False,
            box=rich.box.ROUNDED if self.console.is_terminal else rich.box.ASCII,
        )
        table.add_column(style="dim")
        table.add_column(justify="left", overflow="fold")
        for name, value in rows.items():
            table.add_row(rich.text.Text(name), rich.text.Text(value))
        self.console.print(table)

    def columns(
        self,
        title: str,
        names: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        footer: Sequence[str] | None = None,
    ) -> None:
        """A table with a header."""
        box = rich.box.SIMPLE_HEAD if self.console.is_terminal else rich.box.ASCII
        table = rich.table.Table(
            title=rich.text.Text(title, style="bold"),
            title_justify="left",
            box=box,
            show_footer=footer is not None,
        )
        for i, name in enumerate(names):
            number = footer is not None and i == len(names) - 1
            end = footer[i] if footer else ""
            table.add_column(name, end, justify="right" if number else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(rich.text.Text, row))
        self.console.print(table)


class SweepBar:
    """One bar for all runs of a sweep: steps of all runs, the best so far, time left."""

    def __init__(self, console: rich.console.Console, work: int, monitor: str):
        self.console, self.work, self.monitor = console, work, monitor
        self._done = 0
        self._next_line = work / PLAIN_LINES
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("[bold]sweep"),
            rich.progress.BarColumn(bar_width=None),
            rich.progress.TaskProgressColumn(),
            rich.progress.TextColumn("{task.fields[figures]}"),
            rich.progress.TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=work, figures="compiling ...")

    def __enter__(self) -> "SweepBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, steps: int, seconds: float, best: float | None) -> None:
        """Show `steps` more of all runs together, `seconds` later, and the monitor's best yet."""
        self._done = min(self._done + steps, self.work)
        rate = steps / max(seconds, 1e-9)  # of now: an average would show a compilation for long
        shown = "" if best is None else f"best {self.monitor} {best:.4g}  "
        figures = f"{shown}{rate:,.0f} steps/s"
        self._bar.update(self._task, completed=self._done, figures=figures)
        if not self.console.is_terminal and self._done >= self._next_line:
            self._next_line = self._done + self.work / PLAIN_LINES
            text = f"sweep {self._done / self.work:.0%}  {figures}"
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class Bar:
    """One run's bar: epoch, step, loss, rate, validation accuracy, steps a second, time left."""

    def __init__(self, console: rich.console.Console, start: int, total: int, steps_per_epoch: int):
        self.console, self.start, self.total = console, start, total
        self.steps_per_epoch = steps_per_epoch
        self._seconds = 0.0
        self._next_line = 0.0
        self._accuracy: float | None = None
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("[bold]epoch {task.fields[epoch]}"),
            rich.progress.BarColumn(bar_width=None),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[figures]}"),
            rich.progress.TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=start, epoch="", figures="")

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(
        self,
        step: int,
        row: dict[str, float],
        evaluation: dict[str, float] | None,
        seconds: float,
    ) -> None:
        """Show the run at `step`, whose last metrics are `row`, `seconds` of training later."""
        if evaluation:
            self._accuracy = evaluation.get("val_accuracy")
        self._seconds += seconds
        rate = (step - self.start) / max(self._seconds, 1e-9)
        epochs = -(-self.total // self.steps_per_epoch)
        epoch = f"{min(epochs, step // self.steps_per_epoch + 1)}/{epochs}"
        parts = [f"loss {row['loss']:.4g}"]
        if "learning_rate" in row:
            parts.append(f"lr {row['learning_rate']:.2e}")
        if self._accuracy is not None:
            parts.append(f"val acc {self._accuracy:.1%}")
        parts.append(f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2f} steps/s")
        figures = "  ".join(parts)
        self._bar.update(self._task, completed=step, epoch=epoch, figures=figures)
        if not self.console.is_terminal and (step >= self._next_line or step == self.total):
            self._next_line = step + self.total / PLAIN_LINES
            text = f"epoch {epoch}  step {step}/{self.total}  {figures}"
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)
